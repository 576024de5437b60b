// Theory of operation
//
// Decoding turns each instruction of a kernel, and of the functions it can reach, into one
// operation or a few: the handler that executes it, and for every operand the row of the frame that
// holds it. Registers get rows when they are first named; immediate operands and the addresses of
// variables are constants with rows of their own; an operand whose register is wider or narrower
// than the instruction's type goes through a temporary row. What an instruction cannot express in
// one operation (a second predicate, .sat, a carry) takes further ones that do not count as
// instructions.
//
// Instructions that nobody knows, or that have a modifier that nobody took, become an operation
// that stops the kernel with a fault when a thread would execute it: never a wrong result, and no
// complaint about code that does not run.
#include "evaluator/device/virtual/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/special.h"
#include "evaluator/device/virtual/warp.h"

namespace assay::virtual_gpu {
namespace {

uint64_t extend_lane(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
  const auto shift = static_cast<uint32_t>(mode & 63);
  if ((mode & 64) == 0) return a;
  return static_cast<uint64_t>(static_cast<int64_t>(a << shift) >> shift);
}

}  // namespace

FunctionDecoder::FunctionDecoder(Program& program, const Function& function, Code& code,
                                 const Symbols& symbols)
    : program_(program), function_(function), code_(code), symbols_(symbols) {
  code_.source = &function;
  register_rows_.assign(function.registers.size(), kNone);
}

FunctionDecoder::Family FunctionDecoder::family_of(std::string_view name) {
  using D = FunctionDecoder;
  static const std::unordered_map<std::string_view, Family> kFamilies{
      {"add", &D::add_subtract},
      {"sub", &D::add_subtract},
      {"addc", &D::carry_arithmetic},
      {"subc", &D::carry_arithmetic},
      {"mul", &D::multiply},
      {"mul24", &D::multiply},
      {"mad", &D::multiply_add},
      {"mad24", &D::multiply_add},
      {"madc", &D::carry_arithmetic},
      {"fma", &D::float_multiply_add},
      {"div", &D::divide},
      {"rem", &D::integer_binary},
      {"sad", &D::integer_binary},
      {"min", &D::minimum_maximum},
      {"max", &D::minimum_maximum},
      {"and", &D::bitwise},
      {"or", &D::bitwise},
      {"xor", &D::bitwise},
      {"not", &D::bitwise},
      {"cnot", &D::bitwise},
      {"lop3", &D::lop3},
      {"shl", &D::shift},
      {"shr", &D::shift},
      {"shf", &D::funnel_shift},
      {"bfe", &D::bit_field},
      {"bfi", &D::bit_field},
      {"popc", &D::bit_count},
      {"clz", &D::bit_count},
      {"brev", &D::bit_count},
      {"bfind", &D::bit_count},
      {"fns", &D::bit_count},
      {"prmt", &D::permute_bytes},
      {"dp4a", &D::dot_product},
      {"dp2a", &D::dot_product},
      {"vabsdiff4", &D::byte_differences},
      {"abs", &D::sign_operation},
      {"neg", &D::sign_operation},
      {"szext", &D::extend_bits},
      {"bmsk", &D::extend_bits},
      {"rcp", &D::reciprocal_or_root},
      {"sqrt", &D::reciprocal_or_root},
      {"rsqrt", &D::approximate},
      {"sin", &D::approximate},
      {"cos", &D::approximate},
      {"lg2", &D::approximate},
      {"ex2", &D::approximate},
      {"tanh", &D::approximate},
      {"copysign", &D::copy_sign},
      {"testp", &D::test_property},
      {"mov", &D::move},
      {"cvt", &D::convert},
      {"cvta", &D::convert_address},
      {"isspacep", &D::is_space},
      {"setp", &D::set_predicate},
      {"set", &D::set_value},
      {"selp", &D::select},
      {"slct", &D::select_by_sign},
      {"ld", &D::load},
      {"ldu", &D::load},
      {"st", &D::store},
      {"atom", &D::atomic},
      {"red", &D::atomic},
      {"cp", &D::copy_async},
      {"membar", &D::fence},
      {"fence", &D::fence},
      {"mbarrier", &D::memory_barrier_object},
      {"shfl", &D::shuffle},
      {"vote", &D::vote},
      {"match", &D::match},
      {"redux", &D::reduce},
      {"activemask", &D::active_mask},
      {"elect", &D::elect},
      {"mapa", &D::map_address},
      {"getctarank", &D::rank_of_address},
      {"bar", &D::barrier},
      {"barrier", &D::barrier},
      {"ldmatrix", &D::load_matrix},
      {"stmatrix", &D::store_matrix},
      {"movmatrix", &D::move_matrix},
      {"mma", &D::matrix_multiply},
      {"wmma", &D::wmma},
      {"bra", &D::branch},
      {"brx", &D::branch_indexed},
      {"call", &D::call},
      {"ret", &D::leave},
      {"exit", &D::exit},
      {"trap", &D::trap},
      {"brkpt", &D::trap},
      {"nanosleep", &D::nanosleep},
      {"prefetch", &D::ignored_memory_hint},
      {"prefetchu", &D::ignored_memory_hint},
      {"discard", &D::ignored_memory_hint},
      {"applypriority", &D::ignored_memory_hint},
      {"createpolicy", &D::ignored_memory_hint},
      {"griddepcontrol", &D::no_operation},
      {"pmevent", &D::no_operation},
      {"setmaxnreg", &D::no_operation}};
  const auto found = kFamilies.find(name);
  return found == kFamilies.end() ? nullptr : found->second;
}

// Emitting.

Op& FunctionDecoder::emit(OpCode code, std::initializer_list<uint32_t> rows) {
  Op op;
  op.run = executor().handlers[static_cast<size_t>(code)];
  std::copy(rows.begin(), rows.end(), op.r.begin());
  op.source = index_;
  return code_.ops.emplace_back(op);
}

Op& FunctionDecoder::emit(Control control) {
  Op op;
  op.control = control;
  op.source = index_;
  return code_.ops.emplace_back(op);
}

Op& FunctionDecoder::emit_handler(Handler handler) {
  Op op;
  op.run = handler;
  op.source = index_;
  return code_.ops.emplace_back(op);
}

Op& FunctionDecoder::emit_scalar(Scalar function, uint64_t mode, Place d,
                                 std::initializer_list<Place> operands) {
  Op& op = emit(OpCode::scalar, {d.row});
  op.scalar = function;
  op.imm = static_cast<int64_t>(mode);
  uint32_t widths = log2_width(d.width);
  uint32_t index = 1;
  for (const Place& place : operands) {
    op.r[index] = place.row;
    widths |= log2_width(place.width) << (2 * index);
    ++index;
  }
  op.widths = static_cast<uint8_t>(widths);
  return op;
}

void FunctionDecoder::emit_resize(uint32_t to, uint32_t to_width, uint32_t from,
                                  uint32_t from_width, bool sign_extend) {
  const uint32_t pair = to_width * 16 + from_width;
  switch (pair) {
    case 2 * 16 + 2:
      emit(OpCode::mov16, {to, from});
      return;
    case 4 * 16 + 4:
      emit(OpCode::mov32, {to, from});
      return;
    case 8 * 16 + 8:
      emit(OpCode::mov64, {to, from});
      return;
    case 2 * 16 + 4:
      emit(OpCode::narrow_32_16, {to, from});
      return;
    case 4 * 16 + 8:
      emit(OpCode::narrow_64_32, {to, from});
      return;
    case 4 * 16 + 2:
      emit(sign_extend ? OpCode::widen_s16_s32 : OpCode::widen_u16_u32, {to, from});
      return;
    case 8 * 16 + 4:
      emit(sign_extend ? OpCode::widen_s32_s64 : OpCode::widen_u32_u64, {to, from});
      return;
    default: {
      const uint64_t mode = sign_extend ? 64 | (64 - 8 * from_width) : 0;
      emit_scalar(extend_lane, mode, {to, to_width}, {{from, from_width}});
    }
  }
}

bool FunctionDecoder::refuse(std::string why) {
  if (problem_.empty()) problem_ = std::move(why);
  return false;
}

// Instructions.

void FunctionDecoder::run() {
  declare_blobs();
  const std::string whole_problem = std::exchange(problem_, {});
  for (uint32_t i = 0; i < function_.instructions.size(); ++i) {
    first_op_.push_back(static_cast<uint32_t>(code_.ops.size()));
    problem_ = whole_problem;
    decode_instruction(i);
  }
  index_ = static_cast<uint32_t>(function_.instructions.size());
  first_op_.push_back(static_cast<uint32_t>(code_.ops.size()));
  emit(Control::leave).counts = false;  // where the text ends without ret
  patch_branches();
  code_.image.assign((frame_bytes_ + 63) / 64 * 64, std::byte{0x7f});
  const uint32_t all = kAllLanes;
  const uint32_t none = 0;
  memcpy(code_.image.data() + kTrueRow, &all, 4);
  memcpy(code_.image.data() + kCarryRow, &none, 4);
  for (const auto& [key, offset] : constants_) {
    const auto [width, bits] = key;
    for (uint32_t lane = 0; lane < (width == 0 ? 1 : kLanes); ++lane) {
      memcpy(code_.image.data() + offset + lane * width, &bits, width == 0 ? 4 : width);
    }
  }
}

void FunctionDecoder::decode_instruction(uint32_t index) {
  index_ = index;
  at_ = &function_.instructions[index];
  modifiers_ = Modifiers(at_->opcode);
  operands_.assign(function_.operands.begin() + at_->first,
                   function_.operands.begin() + at_->first + at_->count);
  extensions_.clear();
  for (const auto& [width, offset] : used_temporaries_) {
    free_temporaries_[width].push_back(offset);
  }
  used_temporaries_.clear();
  const size_t first = code_.ops.size();
  const Family family = family_of(modifiers_.name());
  const bool known = family != nullptr && problem_.empty() && (this->*family)();
  if (known && problem_.empty() && !modifiers_.untaken().empty()) {
    problem_ = fmt::format("its modifier .{}", modifiers_.untaken());
  }
  if (known && problem_.empty()) {
    finish_instruction(first);
    if (problem_.empty()) return;
  }
  code_.ops.resize(first);
  Op& op = emit(Control::unsupported);
  op.imm = static_cast<int64_t>(code_.problems.size());
  code_.problems.push_back(
      fmt::format("the virtual device does not support the PTX instruction \"{}\"{}", at_->opcode,
                  problem_.empty() ? "" : fmt::format(" ({})", problem_)));
  problem_.clear();
  extensions_.clear();
  finish_instruction(first);
}

void FunctionDecoder::finish_instruction(size_t first_op) {
  for (const Extension& extension : extensions_) {
    emit_resize(extension.to, extension.to_width, extension.from, extension.from_width,
                extension.sign_extend);
  }
  extensions_.clear();
  const uint32_t guard = at_->guard == kNone ? kTrueRow : row_of_register(at_->guard);
  for (size_t i = first_op; i < code_.ops.size(); ++i) {
    Op& op = code_.ops[i];
    op.guard = guard;
    op.guard_inverted = at_->guard_negated;
    op.counts = i == first_op;
    const bool last = i + 1 == code_.ops.size();
    if (guard != kTrueRow && !last && op.r[0] == guard) {
      problem_ = "it changes its own guard";
      return;
    }
  }
}

void FunctionDecoder::patch_branches() {
  for (Op& op : code_.ops) {
    if (op.control == Control::branch) op.r[0] = first_op_[op.r[0]];
  }
  for (const auto& targets : code_.targets) {
    for (uint32_t& pc : targets->pcs) pc = first_op_[pc];
  }
}

// Programs.

namespace {

/// Static shared memory: the variables that reachable functions declare or name.
void place_shared(Program& program, const Variable& variable) {
  if (variable.space != Space::shared) return;
  if (variable.unsized) {
    program.dynamic_alignment = std::max(program.dynamic_alignment, variable.alignment);
    return;
  }
  if (program.shared_offsets.contains(&variable)) return;
  const uint64_t alignment = std::max(variable.alignment, 1u);
  const uint64_t offset = (program.static_shared_bytes + alignment - 1) / alignment * alignment;
  program.shared_offsets[&variable] = static_cast<uint32_t>(offset);
  const uint64_t end = offset + variable.bytes;
  program.static_shared_bytes = static_cast<uint32_t>(std::min<uint64_t>(end, 1u << 30));
}

/// Walks the functions reachable from `kernel` by the names in their bodies.
std::vector<uint32_t> reachable(const ParsedModule& module, const Function& kernel,
                                Program& program) {
  std::vector<bool> seen(module.functions.size(), false);
  std::vector<uint32_t> order;
  const auto visit = [&](uint32_t index) {
    if (seen[index] || !module.functions[index].defined) return;
    seen[index] = true;
    order.push_back(index);
  };
  visit(module.function_index.at(kernel.name));
  bool all_added = false;
  for (size_t i = 0; i < order.size(); ++i) {
    const Function& function = module.functions[order[i]];
    for (const Variable& variable : function.variables) place_shared(program, variable);
    for (const Operand& operand : function.operands) {
      if (operand.name.empty()) continue;
      const auto variable = module.variable_index.find(operand.name);
      if (variable != module.variable_index.end()) {
        place_shared(program, module.variables[variable->second]);
      }
      const auto callee = module.function_index.find(operand.name);
      if (callee != module.function_index.end()) visit(callee->second);
    }
    for (const Instruction& instruction : function.instructions) {
      if (all_added || !instruction.opcode.starts_with("call")) continue;
      for (uint32_t k = 0; k < instruction.count; ++k) {
        all_added |= function.operands[instruction.first + k].kind == Operand::Kind::reg;
      }
    }
    if (all_added) {  // through a pointer: any function may be meant
      for (uint32_t k = 0; k < module.functions.size(); ++k) {
        if (!module.functions[k].is_kernel) visit(k);
      }
    }
  }
  return order;
}

/// Whether a function can reach itself. Functions are taken off in the order of their calls.
bool has_cycle(const std::map<uint32_t, std::vector<uint32_t>>& callees) {
  std::map<uint32_t, size_t> callers;
  for (const auto& [function, reached] : callees) {
    callers.try_emplace(function, 0);
    for (const uint32_t to : reached) ++callers[to];
  }
  std::vector<uint32_t> ready;
  for (const auto& [function, count] : callers) {
    if (count == 0) ready.push_back(function);
  }
  size_t taken = 0;
  for (; !ready.empty(); ++taken) {
    const auto found = callees.find(ready.back());
    ready.pop_back();
    if (found == callees.end()) continue;
    for (const uint32_t to : found->second) {
      if (--callers[to] == 0) ready.push_back(to);
    }
  }
  return taken < callers.size();
}

}  // namespace

std::unique_ptr<Program> decode(const ParsedModule& module, const Function& kernel,
                                const Symbols& symbols) {
  auto program = std::make_unique<Program>();
  program->module = &module;
  program->kernel = &kernel;
  program->codes.resize(module.functions.size());
  const std::vector<uint32_t> functions = reachable(module, kernel, *program);
  const uint32_t alignment = program->dynamic_alignment;
  program->static_shared_bytes =
      (program->static_shared_bytes + alignment - 1) / alignment * alignment;
  uint64_t parameter_bytes = 0;
  for (const Variable& parameter : kernel.parameters) {
    parameter_bytes =
        (parameter_bytes + parameter.alignment - 1) / parameter.alignment * parameter.alignment;
    parameter_bytes += parameter.bytes;
  }
  program->parameter_bytes = static_cast<uint32_t>(std::min<uint64_t>(parameter_bytes, 1u << 20));
  for (const uint32_t index : functions) program->codes[index] = std::make_unique<Code>();
  std::map<uint32_t, std::vector<uint32_t>> callees;
  for (const uint32_t index : functions) {
    FunctionDecoder decoder(*program, module.functions[index], *program->codes[index], symbols);
    decoder.run();
    callees[index] = decoder.reached();
    program->recursive |= decoder.calls_pointers();
  }
  program->recursive |= has_cycle(callees);
  program->entry = program->codes[functions.front()].get();
  return program;
}

}  // namespace assay::virtual_gpu
