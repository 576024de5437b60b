// What operands name: rows of the frame, constants, special registers, variables and functions.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/special.h"
#include "evaluator/device/virtual/warp.h"

namespace assay::virtual_gpu {
namespace {

constexpr uint32_t kMaximumFrameBytes = 16u << 20;
constexpr const char* kFrameTooLarge = "a function with more than 16 MiB of registers a warp";

bool local_address(Warp& warp, const Op& op, uint32_t mask) {
  const uint64_t value = warp.frame->local_base + static_cast<uint64_t>(op.imm);
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    if ((mask >> lane & 1) != 0) row<uint64_t>(warp, op.r[0])[lane] = value;
  }
  return false;
}

}  // namespace

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
    place = allocate_row(type == Type::pred ? 0 : width_of(type), true);
  }
  return place;
}

uint32_t FunctionDecoder::register_width(const Operand& operand) const {
  if (operand.kind != Operand::Kind::reg) return 0;
  const Type type = function_.registers[operand.reg];
  return type == Type::pred ? 0 : width_of(type);
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
  return source(from, width_of(type));
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

}  // namespace assay::virtual_gpu
