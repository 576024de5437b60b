// A task: what a candidate must compute, on which inputs, how exactly, and how much work it is.
//
// A task is a folder with task.toml and statement.md (docs/task-format.md). Shapes, scalars and
// fill parameters are expressions over symbols; a case gives the symbols values. bind() turns a
// task and one of its cases into a BoundCase: plain numbers, all that the evaluator needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tasks/dtype.h"
#include "tasks/fill.h"

namespace assay {

enum class Direction : uint8_t { in, out, inout };

/// Accepts |got - want| <= atol + rtol * |want| on every element, NaN and infinities in equal
/// positions; with rel_frobenius also ||got - want|| <= rel_frobenius * ||want||.
/// atol = rtol = 0 means exact.
struct Tolerance {
  double atol = 0;
  double rtol = 0;
  std::optional<double> rel_frobenius;
};

/// A tolerance as written in task.toml: expressions over symbols.
struct ToleranceSpec {
  std::string atol = "0", rtol = "0";
  std::optional<std::string> rel_frobenius;
  std::string key;  // "tolerance" or "tensor y: tolerance", for messages
  int line = 0;     // in task.toml, for messages
};

/// An input distribution as written in task.toml: a kind and its parameters as expressions.
struct FillSpec {
  FillKind kind = FillKind::constant;
  std::map<std::string, std::string> parameters;  // name -> expression over symbols
  std::string like;                               // tensor whose random numbers it shares, or empty
  int line = 0;                                   // in task.toml, for messages
};

struct TensorSpec {
  std::string name;
  Direction direction = Direction::in;
  Dtype dtype = Dtype::f32;
  std::vector<std::string> shape;          // expressions, outermost first
  FillSpec fill;                           // in and inout only
  std::optional<ToleranceSpec> tolerance;  // out and inout; else the task's
  std::string description;
  int line = 0;  // of its shape in task.toml, like all lines below
};

struct ScalarSpec {
  std::string name;
  Dtype dtype = Dtype::i32;
  std::string value;  // expression
  std::string description;
  int line = 0;
};

enum class Role : uint8_t { test, timed };

struct CaseSpec {
  std::string name;
  Role role = Role::test;
  std::map<std::string, double> symbols;
  std::map<std::string, FillSpec> fills;  // tensor name -> override (stress inputs)
  /// Small enough for the virtual device within the time people wait for (see `virtual` in
  /// docs/task-format.md).
  bool on_virtual = true;
  int line = 0;
};

struct Work {
  std::string flops;  // expression
  std::string bytes;  // expression: least traffic to and from memory
  std::string unit;  // which unit does them: "fp32", "fp64", "tc16", "tf32", "fp8", "int8", "int32"
  int line = 0;
};

struct Task {
  std::string id;
  std::string title;
  std::string source;
  int level = 1;
  std::string suite;
  std::filesystem::path folder;
  std::string statement;                       // statement.md
  std::map<std::string, std::string> derived;  // [symbols]: name -> expression over case symbols
  std::vector<std::string> derived_order;
  std::map<std::string, int> derived_lines;
  std::vector<TensorSpec> tensors;  // in argument order
  std::vector<ScalarSpec> scalars;  // in argument order, after all tensors
  /// Where right outputs are not unique: what the task's evidence.cu computes from a run's inputs
  /// and outputs, judged in place of the outputs (tasks/evidence.h). All of direction out.
  std::vector<TensorSpec> evidence;
  ToleranceSpec tolerance;
  std::string tolerance_reason;
  Work work;
  std::vector<CaseSpec> cases;

  /// The declaration a candidate must define, for example
  /// `extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream)`.
  std::string signature() const;
};

struct BoundTensor {
  std::string name;
  Direction direction = Direction::in;
  Dtype dtype = Dtype::f32;
  std::vector<uint64_t> shape;
  uint64_t elements = 0;
  Fill fill;  // resolved (in, inout); its ordinal is the tensor's position in the task,
              // or that of the tensor named by `like`
  Tolerance tolerance;
  uint64_t bytes() const { return elements * size_bytes(dtype); }
};

struct BoundScalar {
  std::string name;
  Dtype dtype = Dtype::i32;
  double real = 0;      // floating dtypes; rounded to the dtype
  int64_t integer = 0;  // the others
};

/// A task at one case: all numbers, no expressions.
struct BoundCase {
  std::string task_id;
  std::string case_name;
  Role role = Role::test;
  std::vector<BoundTensor> tensors;
  std::vector<BoundTensor> evidence;
  std::vector<BoundScalar> scalars;
  double flops = 0;
  double bytes = 0;
};

void to_json(nlohmann::json& json, const BoundCase& bound);
/// Exact round trip. Throws nlohmann::json::exception where the text has another form.
void from_json(const nlohmann::json& json, BoundCase& bound);

/// Loads one task folder. Errors name file, line, key and what is allowed.
Result<Task> load_task(const std::filesystem::path& folder);

/// All tasks of all suites under `root` (data_folder("tasks/suites") by default), sorted by suite
/// and id. Broken tasks are errors in the second member, each with its folder; they do not hide
/// the others.
struct Suite {
  std::string title;  // of suite.toml, else the folder's name
  std::string description;
};
struct Catalogue {
  std::vector<Task> tasks;
  std::map<std::string, std::vector<std::string>> suites;  // suite -> task ids
  std::map<std::string, Suite> about;                      // suite -> its own words
  std::vector<Error> errors;
};
Result<Catalogue> load_catalogue(const std::filesystem::path& root);
Result<Catalogue> load_catalogue();

/// The task with this id (or a path to a task folder); not_found lists the nearest ids.
Result<Task> find_task(const Catalogue& catalogue, const std::string& id);

/// Errors name task.toml, the line, the key and what is allowed. A task that load_task() returned
/// binds at all of its cases.
Result<BoundCase> bind(const Task& task, const CaseSpec& spec);

}  // namespace assay
