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

constexpr uint32_t kMaximumFrameBytes = 16u << 20;
constexpr const char* kFrameTooLarge = "a function with more than 16 MiB of registers a warp";

uint32_t log2_width(uint32_t width) {
  return width == 0 ? 0 : static_cast<uint32_t>(std::countr_zero(width));
}

uint64_t extend_lane(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
  const auto shift = static_cast<uint32_t>(mode & 63);
  if ((mode & 64) == 0) return a;
  return static_cast<uint64_t>(static_cast<int64_t>(a << shift) >> shift);
}

bool local_address(Warp& warp, const Op& op, uint32_t mask) {
  const uint64_t value = warp.frame->local_base + static_cast<uint64_t>(op.imm);
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) row<uint64_t>(warp, op.r[0])[lane] = value;
  }
  return false;
}

}  // namespace

Modifiers::Modifiers(std::string_view opcode) {
  for (bool first = true;; first = false) {
    const size_t dot = opcode.find('.');
    const std::string_view part = opcode.substr(0, dot);
    if (first)
      name_ = part;
    else
      parts_.push_back(part);
    if (dot == std::string_view::npos) return;
    opcode.remove_prefix(dot + 1);
  }
}

bool Modifiers::take(std::string_view part) {
  for (std::string_view& own : parts_) {
    if (own != part) continue;
    own = {};
    return true;
  }
  return false;
}

int Modifiers::take_one(std::initializer_list<std::string_view> parts) {
  int index = 0;
  for (const std::string_view part : parts) {
    if (take(part)) return index;
    ++index;
  }
  return -1;
}

Type Modifiers::take_type() {
  for (std::string_view& own : parts_) {
    const Type type = type_from(own);
    if (type == Type::none) continue;
    own = {};
    return type;
  }
  return Type::none;
}

std::string_view Modifiers::take_any() {
  for (std::string_view& own : parts_) {
    if (!own.empty()) return std::exchange(own, {});
  }
  return {};
}

bool Modifiers::has(std::string_view part) const {
  return std::find(parts_.begin(), parts_.end(), part) != parts_.end();
}

std::string_view Modifiers::untaken() const {
  for (const std::string_view own : parts_) {
    if (!own.empty()) return own;
  }
  return {};
}

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

// Rows.

uint32_t FunctionDecoder::allocate_row(uint32_t width, bool listed) {
  uint32_t bytes = width * kLanes;
  uint32_t alignment = 64;
  if (width == 0) bytes = alignment = 4;
  frame_bytes_ = (frame_bytes_ + alignment - 1) / alignment * alignment;
  const uint32_t offset = frame_bytes_;
  if (frame_bytes_ > kMaximumFrameBytes) {
    problem_ = kFrameTooLarge;
    return kTrueRow;
  }
  frame_bytes_ += bytes;
  if (listed) code_.rows.push_back({offset, width});
  return offset;
}

uint32_t FunctionDecoder::row_of_register(uint32_t reg) {
  uint32_t& place = register_rows_[reg];
  if (place == kNone) {
    const Type type = function_.registers[reg];
    place = allocate_row(type == Type::pred ? 0 : std::max(bytes_of(type), 2u), true);
  }
  return place;
}

uint32_t FunctionDecoder::register_width(const Operand& operand) const {
  if (operand.kind != Operand::Kind::reg) return 0;
  const Type type = function_.registers[operand.reg];
  return type == Type::pred ? 0 : std::max(bytes_of(type), 2u);
}

uint32_t FunctionDecoder::constant(uint64_t bits, uint32_t width) {
  if (width < 8 && width > 0) bits &= (uint64_t{1} << (8 * width)) - 1;
  const auto [place, is_new] = constants_.try_emplace({width, bits}, 0);
  if (is_new) {
    place->second = allocate_row(width, false);
    constant_values_.emplace_back(place->second, bits);
  }
  return place->second;
}

uint32_t FunctionDecoder::temporary(uint32_t width) {
  auto& free = free_temporaries_[log2_width(width)];
  uint32_t offset = 0;
  if (free.empty()) {
    offset = allocate_row(width, true);
  } else {
    offset = free.back();
    free.pop_back();
  }
  used_temporaries_.emplace_back(log2_width(width), offset);
  return offset;
}

// Operands.

const Operand& FunctionDecoder::operand(size_t index) const {
  static const Operand kMissing;
  return index < operands_.size() ? operands_[index] : kMissing;
}

std::span<const Operand> FunctionDecoder::elements(const Operand& list) const {
  return {function_.operands.data() + list.first, list.count};
}

std::optional<int64_t> FunctionDecoder::integer(const Operand& operand) const {
  if (operand.kind != Operand::Kind::integer) return std::nullopt;
  return operand.value;
}

uint32_t FunctionDecoder::source(const Operand& from, Type type) {
  if (from.kind == Operand::Kind::real64 && (type == Type::f32 || type == Type::tf32)) {
    const auto narrowed = static_cast<float>(std::bit_cast<double>(from.value));
    return constant(std::bit_cast<uint32_t>(narrowed), 4);
  }
  if (from.kind == Operand::Kind::real32 && type == Type::f64) {
    const double widened = std::bit_cast<float>(static_cast<uint32_t>(from.value));
    return constant(std::bit_cast<uint64_t>(widened), 8);
  }
  return source(from, std::max(bytes_of(type), 2u));
}

uint32_t FunctionDecoder::source(const Operand& from, uint32_t width) {
  if (width > 8 && from.kind != Operand::Kind::reg) {
    refuse("128-bit operands that are no registers");
    return kTrueRow;
  }
  switch (from.kind) {
    case Operand::Kind::integer:
    case Operand::Kind::real32:
    case Operand::Kind::real64:
      return constant(static_cast<uint64_t>(from.value), width);
    case Operand::Kind::name:
      return name_row(from, width);
    case Operand::Kind::reg:
      break;
    default:
      refuse("an operand of this kind");
      return kTrueRow;
  }
  if (from.negated) refuse("a negated register operand");
  const uint32_t own = register_width(from);
  const uint32_t place = row_of_register(from.reg);
  if (own == width) return place;
  if (own == 0 || own > 8 || width > 8) {
    refuse(own == 0 ? "a predicate where a value is expected" : "a 128-bit register");
    return kTrueRow;
  }
  const uint32_t resized = temporary(width);
  emit_resize(resized, width, place, own, false);
  return resized;
}

uint32_t FunctionDecoder::predicate(const Operand& from, bool& inverted) {
  inverted = from.negated;
  if (from.kind == Operand::Kind::integer) return constant(from.value != 0 ? kAllLanes : 0, 0);
  if (from.kind == Operand::Kind::reg && register_width(from) == 0) {
    return row_of_register(from.reg);
  }
  if (from.kind == Operand::Kind::name) {
    const auto known = virtual_gpu::special_register(from.name);
    if (known && known->width == 0) {
      Op& op = emit_handler(read_special);
      op.r[0] = temporary(0);
      op.imm = static_cast<int64_t>(known->which);
      return op.r[0];
    }
  }
  refuse("an operand that is no predicate");
  return kTrueRow;
}

uint32_t FunctionDecoder::destination(const Operand& to, uint32_t width, bool sign_extend) {
  if (to.kind == Operand::Kind::sink && width <= 8) return temporary(width);
  const uint32_t own = register_width(to);
  if (to.kind != Operand::Kind::reg || own == 0) {
    refuse("a destination that is no register of a value");
    return kTrueRow;
  }
  const uint32_t place = row_of_register(to.reg);
  if (own == width) return place;
  if (own > 8 || width > 8) {
    refuse("a 128-bit register");
    return kTrueRow;
  }
  const uint32_t narrow = temporary(width);
  extensions_.push_back({place, own, narrow, width, sign_extend});
  return narrow;
}

uint32_t FunctionDecoder::predicate_destination(const Operand& to) {
  if (to.kind == Operand::Kind::sink) return temporary(0);
  if (to.kind == Operand::Kind::reg && register_width(to) == 0) return row_of_register(to.reg);
  refuse("a destination that is no predicate");
  return temporary(0);
}

uint32_t FunctionDecoder::name_row(const Operand& from, uint32_t width) {
  if (virtual_gpu::special_register(from.name)) {
    const uint32_t place = temporary(width);
    if (!special_register(from, place, width)) refuse("this special register");
    return place;
  }
  const Symbol symbol = find_symbol(from.name);
  const uint64_t value = symbol.address + static_cast<uint64_t>(from.value);
  switch (symbol.kind) {
    case Symbol::Kind::address:
    case Symbol::Kind::function:
      return constant(value, width);
    case Symbol::Kind::kernel_parameter:
      return constant(value, width);
    case Symbol::Kind::local: {
      const uint32_t wide = temporary(8);
      Op& op = emit_handler(local_address);
      op.r[0] = wide;
      op.imm = static_cast<int64_t>(value);
      if (width == 8) return wide;
      const uint32_t narrow = temporary(width);
      emit_resize(narrow, width, wide, 8, false);
      return narrow;
    }
    case Symbol::Kind::blob:
      refuse("the address of a function parameter");
      return kTrueRow;
    case Symbol::Kind::none:
      break;
  }
  refuse(fmt::format("the name {}", from.name));
  return kTrueRow;
}

bool FunctionDecoder::special_register(const Operand& from, uint32_t to, uint32_t width) {
  const auto known = virtual_gpu::special_register(from.name);
  if (!known || known->width == 0) return false;
  const uint32_t place = known->width == width ? to : temporary(known->width);
  Op& op = emit_handler(read_special);
  op.r[0] = place;
  op.imm = static_cast<int64_t>(known->which);
  op.width = static_cast<uint8_t>(known->width);
  if (place != to) emit_resize(to, width, place, known->width, false);
  return true;
}

// Symbols.

uint32_t FunctionDecoder::shared_offset(const Variable& variable) {
  if (variable.unsized) return program_.static_shared_bytes;  // already rounded up
  const auto found = program_.shared_offsets.find(&variable);
  return found == program_.shared_offsets.end() ? 0 : found->second;
}

FunctionDecoder::Symbol FunctionDecoder::variable_symbol(const Variable& variable) {
  Symbol symbol;
  symbol.space = variable.space;
  symbol.bytes = variable.bytes;
  if (variable.space == Space::shared) {
    symbol.kind = Symbol::Kind::address;
    symbol.address = uint64_t{kSharedBase} + shared_offset(variable);
  }
  return symbol;
}

FunctionDecoder::Symbol FunctionDecoder::find_symbol(std::string_view name) {
  for (uint32_t at = at_->scope; at != kNone; at = function_.scopes[at].parent) {
    const auto found = function_.scopes[at].variables.find(name);
    if (found != function_.scopes[at].variables.end()) return variable_places_[found->second];
  }
  Symbol symbol;
  const auto among = [&](const std::vector<Variable>& parameters, const std::vector<Blob>& blobs) {
    uint64_t offset = 0;
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Variable& parameter = parameters[i];
      offset = (offset + parameter.alignment - 1) / parameter.alignment * parameter.alignment;
      if (parameter.name == name) {
        symbol.bytes = parameter.bytes;
        symbol.space = Space::parameter;
        if (function_.is_kernel) {
          symbol.kind = Symbol::Kind::kernel_parameter;
          symbol.address = offset;
        } else {
          symbol.kind = Symbol::Kind::blob;
          symbol.blob = blobs[i];
        }
        return true;
      }
      offset += parameter.bytes;
    }
    return false;
  };
  if (among(function_.parameters, code_.parameters) || among(function_.results, code_.results)) {
    return symbol;
  }
  const ParsedModule& module = *program_.module;
  if (const auto found = module.variable_index.find(name); found != module.variable_index.end()) {
    const Variable& variable = module.variables[found->second];
    symbol = variable_symbol(variable);
    if (variable.space == Space::global || variable.space == Space::constant) {
      symbol.kind = Symbol::Kind::address;
      symbol.address = symbols_.variables[found->second];
      if (symbol.address == 0) symbol.kind = Symbol::Kind::none;
    }
    return symbol;
  }
  if (const auto found = module.function_index.find(name); found != module.function_index.end()) {
    symbol.kind = Symbol::Kind::function;
    symbol.address =
        symbols_.space->window(Region::Kind::code).address + uint64_t{found->second} * 16;
    reached_.push_back(found->second);
  }
  return symbol;
}

const std::vector<std::string_view>* FunctionDecoder::find_table(std::string_view name) const {
  for (uint32_t at = at_->scope; at != kNone; at = function_.scopes[at].parent) {
    const auto found = function_.scopes[at].tables.find(name);
    if (found != function_.scopes[at].tables.end()) return &found->second;
  }
  return nullptr;
}

uint32_t FunctionDecoder::find_label(uint32_t scope, std::string_view name) const {
  for (uint32_t at = scope; at != kNone; at = function_.scopes[at].parent) {
    const auto found = function_.scopes[at].labels.find(name);
    if (found != function_.scopes[at].labels.end()) return found->second;
  }
  return kNone;
}

void FunctionDecoder::declare_blobs() {
  const auto blob_of = [&](const Variable& variable) {
    Blob blob;
    blob.bytes = static_cast<uint32_t>(std::min<uint64_t>(variable.bytes, 65536));
    if (variable.bytes > blob.bytes) problem_ = "a function parameter of more than 64 KiB";
    if (frame_bytes_ > kMaximumFrameBytes) {
      problem_ = kFrameTooLarge;
      blob.bytes = 0;
    }
    blob.stride = (blob.bytes + 15) / 16 * 16;
    frame_bytes_ = (frame_bytes_ + 63) / 64 * 64;
    blob.offset = frame_bytes_;
    frame_bytes_ += blob.stride * kLanes;
    code_.rows.push_back({blob.offset, blob.stride});
    return blob;
  };
  if (!function_.is_kernel) {
    for (const Variable& parameter : function_.parameters) {
      code_.parameters.push_back(blob_of(parameter));
    }
    for (const Variable& result : function_.results) code_.results.push_back(blob_of(result));
  }
  for (const Variable& variable : function_.variables) {
    Symbol symbol = variable_symbol(variable);
    if (variable.space == Space::local) {
      const uint32_t alignment = std::max(variable.alignment, 1u);
      const uint64_t offset = (uint64_t{code_.local_bytes} + alignment - 1) / alignment * alignment;
      if (offset + variable.bytes > (512u << 10)) {
        problem_ = "more than 512 KiB of local memory a thread";
      } else {
        code_.local_bytes = static_cast<uint32_t>(offset + variable.bytes);
      }
      symbol.kind = Symbol::Kind::local;
      symbol.address = offset;
    } else if (variable.space == Space::parameter) {
      symbol.kind = Symbol::Kind::blob;
      symbol.blob = blob_of(variable);
    }
    variable_places_.push_back(symbol);
  }
  code_.local_bytes = (code_.local_bytes + 15) / 16 * 16;
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

bool FunctionDecoder::branch() {
  modifiers_.take("uni");
  const Operand& target = operand(0);
  const uint32_t index =
      target.kind == Operand::Kind::name ? find_label(at_->scope, target.name) : kNone;
  if (index == kNone) return refuse("a branch to no label");
  emit(Control::branch).r[0] = index;
  return true;
}

bool FunctionDecoder::branch_indexed() {
  if (!modifiers_.take("idx")) return false;
  modifiers_.take("uni");
  const auto* names = find_table(operand(1).name);
  if (names == nullptr) return refuse("a table that is not there");
  auto targets = std::make_unique<Targets>();
  for (const std::string_view name : *names) {
    const uint32_t index = find_label(at_->scope, name);
    if (index == kNone) return refuse("a branch to no label");
    targets->pcs.push_back(index);
  }
  const uint32_t row = source(0, 4);
  Op& op = emit(Control::table);
  op.r[0] = row;
  op.table = targets.get();
  code_.targets.push_back(std::move(targets));
  return true;
}

bool FunctionDecoder::call() {
  modifiers_.take("uni");
  size_t next = 0;
  auto site = std::make_unique<CallSite>();
  const auto blobs = [&](const Operand& list, std::vector<Blob>& out) {
    for (const Operand& element : elements(list)) {
      const Symbol symbol =
          element.kind == Operand::Kind::name ? find_symbol(element.name) : Symbol{};
      if (symbol.kind != Symbol::Kind::blob)
        return refuse("an argument that is no .param variable");
      out.push_back(symbol.blob);
    }
    return true;
  };
  if (operand(next).kind == Operand::Kind::list && !blobs(operand(next++), site->results)) {
    return false;
  }
  const Operand target = operand(next++);
  if (operand(next).kind == Operand::Kind::list && !blobs(operand(next), site->arguments)) {
    return false;
  }
  Control control = Control::call;
  if (target.kind == Operand::Kind::reg) {
    calls_pointers_ = true;
    site->target = source(target, 8);
  } else {
    const auto& index = program_.module->function_index;
    const auto found = index.find(target.name);
    if (found == index.end()) return refuse("a call of no function");
    const Function& callee = program_.module->functions[found->second];
    if (!callee.defined) {
      if (target.name == "vprintf")
        site->external = External::print;
      else if (target.name == "__assertfail")
        site->external = External::assertion;
      else
        return refuse(fmt::format("a call of {}, which is defined nowhere", target.name));
      control = Control::external;
    } else if (callee.is_kernel) {
      return refuse("a call of a kernel");
    }
    site->function = found->second;
    reached_.push_back(found->second);
  }
  Op& op = emit(control);
  op.table = site.get();
  code_.calls.push_back(std::move(site));
  return true;
}

bool FunctionDecoder::leave() {
  modifiers_.take("uni");
  emit(Control::leave);
  return true;
}

bool FunctionDecoder::exit() {
  emit(Control::exit);
  return true;
}

bool FunctionDecoder::trap() {
  emit(Control::trap);
  return true;
}

bool FunctionDecoder::nanosleep() {
  modifiers_.take("u32");
  emit(Control::yield);
  return true;
}

bool FunctionDecoder::no_operation() {
  while (!modifiers_.take_any().empty()) {
  }
  emit_handler([](Warp&, const Op&, uint32_t) { return false; });
  return true;
}

bool FunctionDecoder::ignored_memory_hint() {
  const bool policy = modifiers_.name() == "createpolicy";
  while (!modifiers_.take_any().empty()) {
  }
  if (policy) {
    emit(OpCode::mov64, {destination(0, 8), constant(0, 8)});
    return true;
  }
  return no_operation();
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
