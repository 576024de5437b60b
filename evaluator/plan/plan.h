// LaunchPlan: what solve() asked the GPU to do, as plain data.
//
// Pointers do not appear as numbers. Wherever parameter bytes held one, a Relocation names the
// allocation and the distance from its start; the device puts the address of its own buffer there.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/info.h"
#include "evaluator/plan/element_grid.h"
#include "tasks/task.h"

namespace assay {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  bool operator==(const Dim3&) const = default;
  uint64_t count() const { return uint64_t{x} * y * z; }
};

struct Allocation {
  enum class Kind : uint8_t {
    argument,  // a tensor of the task; `index` is its position
    scratch,   // cudaMalloc and friends in solve()
    variable,  // a __device__ or __constant__ variable of the module; `name`
  };
  Kind kind = Kind::scratch;
  uint32_t index = 0;
  std::string name;
  uint64_t bytes = 0;
  bool operator==(const Allocation&) const = default;
};

/// A place in memory: `offset` bytes after the start of allocation number `allocation`.
struct Location {
  uint32_t allocation = 0;
  int64_t offset = 0;
  bool operator==(const Location&) const = default;
};

/// The 8 bytes at `offset` of a launch's parameters are the address of `target`.
struct Relocation {
  uint32_t offset = 0;
  Location target;
  bool operator==(const Relocation&) const = default;
};

/// A tensor map among the parameters (128 bytes at `offset`), as cuTensorMapEncodeTiled got it;
/// encoded by the device with its own addresses.
struct TensorMap {
  uint32_t offset = 0;
  Location base;
  uint32_t data_type = 0;  // CUtensorMapDataType
  uint32_t rank = 0;       // 1..5
  std::array<uint64_t, 5> dimensions{};
  std::array<uint64_t, 4> strides_bytes{};
  std::array<uint32_t, 5> box{};
  std::array<uint32_t, 5> element_strides{};
  uint32_t interleave = 0, swizzle = 0, l2_promotion = 0, oob_fill = 0;
  bool operator==(const TensorMap&) const = default;
};

struct Launch {
  std::string kernel;  // symbol in the artifact
  Dim3 grid, block;
  uint32_t dynamic_shared_bytes = 0;
  std::string parameters;  // raw bytes of the parameter buffer; zero where a relocation applies
  std::vector<Relocation> relocations;
  std::vector<TensorMap> tensor_maps;
  Dim3 cluster{0, 0, 0};  // all zero: none
  bool cooperative = false;
  bool programmatic = false;  // programmatic dependent launch after the previous kernel
  bool operator==(const Launch&) const = default;
};

/// `height` rows of `width_bytes`, `pitch_bytes` apart, set to `value` (elements of 1, 2, 4 bytes).
struct Memset {
  Location target;
  uint32_t value = 0;
  uint32_t element_bytes = 1;
  uint64_t width_bytes = 0;
  uint64_t height = 1;
  uint64_t pitch_bytes = 0;
  bool operator==(const Memset&) const = default;
};

/// Device to device, or, where `literal` is not empty, from bytes recorded on the host
/// (cudaMemcpyToSymbol of the candidate's own constants).
struct Copy {
  Location target;
  Location source;
  std::string literal;
  uint64_t width_bytes = 0;
  uint64_t height = 1;
  uint64_t target_pitch_bytes = 0;
  uint64_t source_pitch_bytes = 0;
  bool operator==(const Copy&) const = default;
};

/// The elements of one view of memory written to those of another, converted to its dtype by a
/// trusted kernel (check/element_copy.h). `target` and `source` are the views' first elements.
struct ElementCopy {
  Location target;
  Location source;
  ElementGrid elements;
  bool operator==(const ElementCopy&) const = default;
};

using Action = std::variant<Launch, Memset, Copy, ElementCopy>;

struct Operation {
  Action action;
  std::vector<uint32_t> depends_on;  // indices of earlier operations
  uint32_t stream = 0;               // 0: the stream given to solve; for people
  bool operator==(const Operation&) const = default;
};

struct LaunchPlan {
  std::vector<Allocation> allocations;
  std::vector<Operation> operations;
  bool operator==(const LaunchPlan&) const = default;

  /// SHA-256 of the stable JSON form.
  std::string digest() const;
};

/// The stable form that --keep-plan writes; docs/launch-plan.md describes it. Bytes are
/// hexadecimal.
void to_json(nlohmann::json& json, const LaunchPlan& plan);

/// Parses untrusted text with bounds on every count and size (limits in plan.cc).
Result<LaunchPlan> parse_plan(const std::string& json_text);

/// The plan against the artifact, the case and the device: known kernels, parameter layouts and
/// sizes, every location inside its allocation, dependencies that point backwards, launch limits
/// of the device, total scratch. The problem is the candidate's: `reason` is machine-readable and
/// decides the outcome: "launch_limits" (launch_error), everything else record_error.
struct PlanProblem {
  bool launch_limits = false;
  std::string reason;
  std::string explanation;
};
std::optional<PlanProblem> validate(const LaunchPlan& plan, const Artifact& artifact,
                                    const BoundCase& bound, const DeviceInfo& device);

}  // namespace assay
