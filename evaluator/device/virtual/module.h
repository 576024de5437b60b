// A PTX module as parsed: names resolved to registers and scopes, instructions still as text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "evaluator/device/virtual/types.h"

namespace assay::virtual_gpu {

inline constexpr uint32_t kNone = 0xffffffffu;

/// A variable of any state space, or a parameter.
struct Variable {
  std::string_view name;
  Space space = Space::global;
  uint32_t alignment = 1;
  uint64_t bytes = 0;
  bool unsized = false;  // extern .shared x[]: the launch's dynamic shared memory
  bool external = false;
  std::string initial;  // leading bytes; the rest is zero

  /// `bytes` bytes at `offset` are the address of `symbol` plus `addend`, shifted right by `shift`.
  struct Address {
    uint64_t offset = 0;
    uint32_t bytes = 8;
    uint32_t shift = 0;
    std::string_view symbol;
    int64_t addend = 0;
  };
  std::vector<Address> addresses;
};

struct Operand {
  enum class Kind : uint8_t {
    sink,     // _
    reg,      // `reg`, maybe negated
    integer,  // `value`
    real32,   // `value` holds the bits of a float
    real64,   // ... of a double
    name,     // special register, variable, function or label; plus `value`
    memory,   // [reg or name + value]
    tensor,   // [name, {...}]: of a texture or a tensor map
    vector,   // {...}: operands [first, first + count) of the function's pool
    list,     // (...): likewise
  };
  Kind kind = Kind::sink;
  bool negated = false;
  bool paired = false;  // followed by '|' and the next operand
  uint32_t reg = kNone;
  std::string_view name;
  int64_t value = 0;
  uint32_t first = 0, count = 0;
};

struct Instruction {
  std::string_view opcode;  // with all modifiers: "ld.global.nc.v2.f32"
  uint32_t guard = kNone;   // register
  bool guard_negated = false;
  uint32_t first = 0, count = 0;  // operands in the function's pool
  uint32_t scope = 0;
  uint32_t line = 0;          // in the PTX
  uint32_t location = kNone;  // in the function's locations
};

/// A .loc directive.
struct SourceLocation {
  uint32_t file = 0, line = 0, column = 0;
  uint32_t caller = kNone;  // location that this one was inlined at
};

/// A pair of braces. Names are looked up from the inside out.
struct Scope {
  uint32_t parent = kNone;
  std::unordered_map<std::string_view, uint32_t> variables;  // index in Function::variables
  std::unordered_map<std::string_view, uint32_t> labels;     // index of an instruction
  std::unordered_map<std::string_view, std::vector<std::string_view>> tables;  // .branchtargets
  struct Registers {
    Type type = Type::b32;
    uint32_t count = 0;  // 0: one register, the name itself
    uint32_t id = 0;     // distinguishes declarations
  };
  std::unordered_map<std::string_view, Registers> registers;  // by name or by prefix
};

struct Function {
  std::string_view name;
  bool is_kernel = false;
  bool defined = false;  // has a body
  std::vector<Variable> parameters;
  std::vector<Variable> results;
  uint32_t max_threads[3] = {0, 0, 0};       // .maxntid; 0: none given
  uint32_t required_threads[3] = {0, 0, 0};  // .reqntid
  uint32_t required_cluster[3] = {0, 0, 0};  // .reqnctapercluster

  std::vector<Instruction> instructions;
  std::vector<Operand> operands;
  std::vector<Type> registers;  // types of the registers that the body uses
  std::vector<std::string_view> register_names;
  std::vector<Variable> variables;  // .local, .shared, .param of the body
  std::deque<Scope> scopes;
  std::vector<SourceLocation> locations;
};

struct ParsedModule {
  std::string text;  // all views point into it
  std::string target;
  std::map<uint32_t, std::string> files;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  std::unordered_map<std::string_view, uint32_t> variable_index;
  std::unordered_map<std::string_view, uint32_t> function_index;
};

}  // namespace assay::virtual_gpu
