// Moves, conversions, comparisons and selections.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/cluster.h"
#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"
#include "evaluator/device/virtual/warp.h"
#include "evaluator/device/virtual/wide.h"

namespace assay::virtual_gpu {
namespace {

std::optional<Number> number_of(Type type) {
  switch (type) {
    case Type::u8:
      return Number::u8;
    case Type::u16:
      return Number::u16;
    case Type::u32:
      return Number::u32;
    case Type::u64:
      return Number::u64;
    case Type::s8:
      return Number::s8;
    case Type::s16:
      return Number::s16;
    case Type::s32:
      return Number::s32;
    case Type::s64:
      return Number::s64;
    case Type::f16:
      return Number::f16;
    case Type::bf16:
      return Number::bf16;
    case Type::tf32:
      return Number::tf32;
    case Type::f32:
      return Number::f32;
    case Type::f64:
      return Number::f64;
    case Type::f16x2:
      return Number::f16x2;
    case Type::bf16x2:
      return Number::bf16x2;
    case Type::e4m3x2:
      return Number::e4m3x2;
    case Type::e5m2x2:
      return Number::e5m2x2;
    default:
      return std::nullopt;
  }
}

/// mode: a ConvertMode, then the types in bytes 1 and 2, then whether the result is an s8.
uint64_t convert_lane(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
  const uint64_t bits =
      convert_register(static_cast<Number>(mode >> 8 & 0xff),
                       static_cast<Number>(mode >> 16 & 0xff), a, convert_mode(mode & 0xff));
  return (mode >> 24 & 1) != 0 ? to_register(static_cast<int64_t>(static_cast<int8_t>(bits)))
                               : bits;
}
uint64_t convert_pair_lane(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
  return convert_register_pair(static_cast<Number>(mode >> 8 & 0xff), get<float>(a), get<float>(b),
                               convert_mode(mode & 0xff));
}

std::optional<OpCode> fast_conversion(Type to, Type from, bool plain, Rounding rounding) {
  if (!plain) return std::nullopt;
  const bool nearest = rounding == Rounding::rn;
  if (to == Type::f32 && from == Type::f16) return OpCode::f32_of_f16;
  if (to == Type::f32 && from == Type::bf16) return OpCode::f32_of_bf16;
  if (to == Type::f64 && from == Type::f32) return OpCode::f64_of_f32;
  if (to == Type::f64 && from == Type::s32) return OpCode::f64_of_s32;
  if (to == Type::f64 && from == Type::u32) return OpCode::f64_of_u32;
  if (to == Type::s32 && from == Type::f32 && rounding == Rounding::rz) return OpCode::s32_of_f32;
  if (!nearest) return std::nullopt;
  if (to == Type::f16 && from == Type::f32) return OpCode::f16_of_f32;
  if (to == Type::bf16 && from == Type::f32) return OpCode::bf16_of_f32;
  if (to == Type::f32 && from == Type::f64) return OpCode::f32_of_f64;
  if (to == Type::f32 && from == Type::s32) return OpCode::f32_of_s32;
  if (to == Type::f32 && from == Type::u32) return OpCode::f32_of_u32;
  return std::nullopt;
}

bool is_integer(Type type) { return type >= Type::u8 && type <= Type::s64; }

/// setp, set: mode has the Compare in its low bits, then .ftz.
struct CompareLanes {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return compare(static_cast<Compare>(mode & 31), get<T>(a), get<T>(b), (mode & 32) != 0);
  }
};
/// Of packed halves: bit 0 and bit 16 of the result.
template <typename T>
uint64_t compare_halves(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
  const auto x = get<Pair<T>>(a), y = get<Pair<T>>(b);
  const auto how = static_cast<Compare>(mode & 31);
  return uint64_t{compare(how, x.low, y.low)} | uint64_t{compare(how, x.high, y.high)} << 16;
}

Scalar compare_function(Type type) {
  switch (type) {
    case Type::f32:
      return &CompareLanes::run<float>;
    case Type::f64:
      return &CompareLanes::run<double>;
    case Type::f16:
      return &CompareLanes::run<F16>;
    case Type::bf16:
      return &CompareLanes::run<BF16>;
    default:
      return integer_scalar<CompareLanes>(type);
  }
}

/// The vectorised comparison that `how` of `type` comes down to.
struct FastCompare {
  OpCode code;
  bool swapped;
  bool inverted;
};
std::optional<FastCompare> fast_compare(Compare how, Type type) {
  enum Row { u16, s16, u32, s32, u64, s64, f32, f64, none };
  const Row row = type == Type::u16 || type == Type::b16   ? u16
                  : type == Type::s16                      ? s16
                  : type == Type::u32 || type == Type::b32 ? u32
                  : type == Type::s32                      ? s32
                  : type == Type::u64 || type == Type::b64 ? u64
                  : type == Type::s64                      ? s64
                  : type == Type::f32                      ? f32
                  : type == Type::f64                      ? f64
                                                           : none;
  if (row == none) return std::nullopt;
  constexpr OpCode kEqual[] = {OpCode::eq16, OpCode::eq16, OpCode::eq32,   OpCode::eq32,
                               OpCode::eq64, OpCode::eq64, OpCode::eq_f32, OpCode::eq_f64};
  constexpr OpCode kLess[] = {OpCode::lt_u16, OpCode::lt_s16, OpCode::lt_u32, OpCode::lt_s32,
                              OpCode::lt_u64, OpCode::lt_s64, OpCode::lt_f32, OpCode::lt_f64};
  constexpr OpCode kLessEqual[] = {OpCode::le_u16, OpCode::le_s16, OpCode::le_u32, OpCode::le_s32,
                                   OpCode::le_u64, OpCode::le_s64, OpCode::le_f32, OpCode::le_f64};
  const bool real = row >= f32;
  switch (how) {
    case Compare::eq:
      return FastCompare{kEqual[row], false, false};
    case Compare::ne:
      if (real) return std::nullopt;  // false on NaN
      return FastCompare{kEqual[row], false, true};
    case Compare::neu:
      return FastCompare{kEqual[row], false, true};
    case Compare::lo:
    case Compare::lt:
      return FastCompare{kLess[row], false, false};
    case Compare::ls:
    case Compare::le:
      return FastCompare{kLessEqual[row], false, false};
    case Compare::hi:
    case Compare::gt:
      return FastCompare{kLess[row], true, false};
    case Compare::hs:
    case Compare::ge:
      return FastCompare{kLessEqual[row], true, false};
    case Compare::ltu:
      return FastCompare{kLessEqual[row], true, true};
    case Compare::leu:
      return FastCompare{kLess[row], true, true};
    case Compare::gtu:
      return FastCompare{kLessEqual[row], false, true};
    case Compare::geu:
      return FastCompare{kLess[row], false, true};
    case Compare::num:
      if (!real) return std::nullopt;
      return FastCompare{row == f32 ? OpCode::num_f32 : OpCode::num_f64, false, false};
    case Compare::nan:
      if (!real) return std::nullopt;
      return FastCompare{row == f32 ? OpCode::num_f32 : OpCode::num_f64, false, true};
    case Compare::equ:
      return std::nullopt;
  }
  return std::nullopt;
}

const std::initializer_list<std::string_view> kCompareNames = {
    "eq", "ne",  "lt",  "le",  "gt",  "ge",  "lo",  "ls",  "hi",
    "hs", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

// Op::width of isspacep.
constexpr uint8_t kIsConstant = 1;
constexpr uint8_t kIsOwnShared = 2;

bool is_space_lane(Warp& warp, const Op& op, uint32_t mask) {
  const uint64_t* address = row<uint64_t>(warp, op.r[1]);
  uint32_t bits = 0;
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    const Region* region = region_at(warp.slots, address[lane]);
    // What is nowhere counts as global.
    const auto kind = region != nullptr ? region->kind : Region::Kind::memory;
    bool inside = kind == static_cast<Region::Kind>(op.imm);
    if (kind == Region::Kind::memory) {
      inside &= (region != nullptr && region->read_only) == (op.width == kIsConstant);
    }
    if (kind == Region::Kind::shared && op.width == kIsOwnShared) {
      inside &= (address[lane] - region->address) >> kRankBits == 0;
    }
    bits |= static_cast<uint32_t>(inside) << lane;
  }
  uint32_t& d = *row<uint32_t>(warp, op.r[0]);
  d = (d & ~mask) | (bits & mask);
  return false;
}

}  // namespace

bool FunctionDecoder::move() {
  if (operand(0).kind == Operand::Kind::vector || operand(1).kind == Operand::Kind::vector) {
    return pack_or_unpack();
  }
  const Type type = modifiers_.take_type();
  if (type == Type::pred) {
    bool inverted = false;
    const uint32_t a = predicate(operand(1), inverted);
    emit(OpCode::pred_and, {predicate_destination(operand(0)), a, a}).imm = inverted ? 4 : 0;
    return true;
  }
  const uint32_t width = width_of(type);
  if (width > 8 || type == Type::none) return refuse("128-bit registers");
  if (operand(1).kind == Operand::Kind::name) {
    if (const uint32_t own = register_width(operand(0)); own != 0) {
      // Straight into the register, of whatever width it has.
      if (special_register(operand(1), destination(0, own), own)) return true;
    }
  }
  const uint32_t a = source(1, type);
  const OpCode codes[3] = {OpCode::mov16, OpCode::mov32, OpCode::mov64};
  emit(codes[std::countr_zero(width) - 1], {destination(0, width), a});
  return true;
}

bool FunctionDecoder::pack_or_unpack() {
  const Type type = modifiers_.take_type();
  const uint32_t width = width_of(type);
  const bool unpack = operand(0).kind == Operand::Kind::vector;
  const auto parts = elements(operand(unpack ? 0 : 1));
  const auto count = static_cast<uint32_t>(parts.size());
  const bool bytes = width == 2 && count == 2 && !unpack;
  if (width == 16 && count == 2) return pack_or_unpack_wide(parts, unpack);
  if (width > 8 || (count != 2 && count != 4) || (width / count < 2 && !bytes)) {
    return refuse("a vector of this shape");
  }
  const uint32_t part = width / count;
  if (bytes) {
    const uint32_t low = source(parts[0], 2), high = source(parts[1], 2);
    emit_scalar([](uint64_t a, uint64_t b, uint64_t, uint64_t) { return (a & 255) | b << 8; }, 0,
                {destination(0, 2), 2}, {{low, 2}, {high, 2}});
    return true;
  }
  if (unpack) {
    const uint32_t a = source(1, width);
    for (uint32_t i = 0; i < count; ++i) {
      if (parts[i].kind == Operand::Kind::sink) continue;
      if (count == 2) {
        const uint32_t d = destination(parts[i], part);
        if (part == 4)
          emit(i == 0 ? OpCode::narrow_64_32 : OpCode::high_64_32, {d, a});
        else
          emit(i == 0 ? OpCode::narrow_32_16 : OpCode::high_32_16, {d, a});
        continue;
      }
      emit_scalar([](uint64_t x, uint64_t, uint64_t, uint64_t shift) { return x >> shift; },
                  uint64_t{i} * part * 8, {destination(parts[i], part), part}, {{a, width}});
    }
    if (code_.ops.empty() || code_.ops.back().source != index_) no_operation();
    return true;
  }
  uint32_t places[4];
  for (uint32_t i = 0; i < count; ++i) places[i] = source(parts[i], part);
  const uint32_t d = destination(0, width);
  if (count == 2) {
    emit(part == 4 ? OpCode::join_32_64 : OpCode::join_16_32, {d, places[0], places[1]});
    return true;
  }
  const uint32_t low = temporary(4), high = temporary(4);
  emit(OpCode::join_16_32, {low, places[0], places[1]});
  emit(OpCode::join_16_32, {high, places[2], places[3]});
  emit(OpCode::join_32_64, {d, low, high});
  return true;
}

bool FunctionDecoder::pack_or_unpack_wide(std::span<const Operand> parts, bool unpack) {
  if (unpack) {
    const uint32_t a = source(1, 16);
    const uint32_t low = destination(parts[0], 8), high = destination(parts[1], 8);
    emit_handler(run_wide_split).r = {low, high, a, 0, 0, 0};
    return true;
  }
  const uint32_t low = source(parts[0], 8), high = source(parts[1], 8), d = destination(0, 16);
  emit_handler(run_wide_join).r = {d, low, high, 0, 0, 0};
  return true;
}

bool FunctionDecoder::convert() {
  if (modifiers_.take("pack")) {
    modifiers_.take("sat");
    std::string_view to = modifiers_.take_any();
    if (to.size() < 2 || (to[0] != 'u' && to[0] != 's') || !modifiers_.take("s32")) return false;
    const int bits = to.substr(1) == "2"    ? 2
                     : to.substr(1) == "4"  ? 4
                     : to.substr(1) == "8"  ? 8
                     : to.substr(1) == "16" ? 16
                                            : 0;
    if (bits == 0) return false;
    modifiers_.take("b32");
    const uint32_t c = operand_count() > 3 ? source(3, 4) : constant(0, 4);
    emit_scalar(
        [](uint64_t a, uint64_t b, uint64_t e, uint64_t mode) -> uint64_t {
          return convert_pack(static_cast<int>(mode & 31), (mode & 32) != 0, get<int32_t>(a),
                              get<int32_t>(b), static_cast<uint32_t>(e));
        },
        static_cast<uint64_t>(bits) | (to[0] == 's' ? 32 : 0), {destination(0, 4), 4},
        {{source(1, 4), 4}, {source(2, 4), 4}, {c, 4}});
    return true;
  }
  ConvertMode mode;
  const int rounding =
      modifiers_.take_one({"rn", "rz", "rm", "rp", "rna", "rni", "rzi", "rmi", "rpi"});
  if (rounding >= 0) mode.rounding = static_cast<Rounding>(rounding < 5 ? rounding : rounding - 5);
  const bool integral = rounding >= 5;
  mode.ftz = modifiers_.take("ftz");
  mode.sat = modifiers_.take("sat");
  mode.relu = modifiers_.take("relu");
  mode.satfinite = modifiers_.take("satfinite");
  const Type to = modifiers_.take_type(), from = modifiers_.take_type();
  const auto to_number = number_of(to), from_number = number_of(from);
  if (!to_number || !from_number) return false;
  mode.to_integer = integral && is_float(to);
  const uint64_t types = uint64_t{static_cast<uint8_t>(*to_number)} << 8 |
                         uint64_t{static_cast<uint8_t>(*from_number)} << 16 |
                         uint64_t{to == Type::s8} << 24;
  const uint32_t to_width = width_of(to), from_width = width_of(from);
  const bool two_operands = operand_count() == 3 && from == Type::f32;
  if (two_operands) {
    const uint32_t a = source(1, from), b = source(2, from);
    const bool nearest = mode.rounding == Rounding::rn && !mode.relu && !mode.satfinite;
    if (nearest && (to == Type::f16x2 || to == Type::bf16x2)) {
      emit(to == Type::f16x2 ? OpCode::f16x2_of_f32 : OpCode::bf16x2_of_f32,
           {destination(0, 4), a, b});
      return true;
    }
    emit_scalar(convert_pair_lane, pack(mode) | types, {destination(0, to_width), to_width},
                {{a, 4}, {b, 4}});
    return true;
  }
  if (operand_count() != 2) return refuse("so many operands");
  const uint32_t a = source(1, from);
  const bool plain = !mode.ftz && !mode.sat && !mode.relu && !mode.satfinite && !mode.to_integer;
  const uint32_t d = destination(0, to_width, is_signed(to));
  if (const auto fast = fast_conversion(to, from, plain, mode.rounding)) {
    emit(*fast, {d, a});
    return true;
  }
  const bool integers = is_integer(to) && is_integer(from) && !mode.sat;
  if (integers && bytes_of(to) > 1 && bytes_of(from) > 1) {
    emit_resize(d, to_width, a, from_width, is_signed(from));
    return true;
  }
  emit_scalar(convert_lane, pack(mode) | types, {d, to_width}, {{a, from_width}});
  return true;
}

bool FunctionDecoder::convert_address() {
  const bool to_space = modifiers_.take("to");
  const int space = modifiers_.take_one(
      {"global", "const", "shared", "shared::cta", "local", "param", "param::entry"});
  if (space < 0 || !modifiers_.take("u64")) return false;
  const uint32_t a = source(1, 8), d = destination(0, 8);
  if (space <= 1) {
    emit(OpCode::mov64, {d, a});
    return true;
  }
  const Region::Kind kind = space <= 3   ? Region::Kind::shared
                            : space == 4 ? Region::Kind::local
                                         : Region::Kind::parameter;
  const uint32_t window = constant(symbols_.space->window(kind).address, 8);
  emit(to_space ? OpCode::sub64 : OpCode::add64, {d, a, window});
  return true;
}

bool FunctionDecoder::is_space() {
  const int space = modifiers_.take_one({"global", "const", "shared", "shared::cta",
                                         "shared::cluster", "local", "param", "param::entry"});
  if (space < 0) return false;
  const Region::Kind kind = space <= 1   ? Region::Kind::memory
                            : space <= 4 ? Region::Kind::shared
                            : space == 5 ? Region::Kind::local
                                         : Region::Kind::parameter;
  const uint32_t a = source(1, 8);
  Op& op = emit_handler(is_space_lane);
  op.r[0] = predicate_destination(operand(0));
  op.r[1] = a;
  op.imm = static_cast<int64_t>(kind);
  op.width = space == 1 ? kIsConstant : space == 2 || space == 3 ? kIsOwnShared : uint8_t{0};
  return true;
}

bool FunctionDecoder::set_predicate() {
  const int name = modifiers_.take_one(kCompareNames);
  if (name < 0) return false;
  const auto how = static_cast<Compare>(name);
  const int combine = modifiers_.take_one({"and", "or", "xor"});
  const bool ftz = modifiers_.take("ftz");
  const Type type = modifiers_.take_type();
  const bool two = operand(0).paired;
  const size_t first = two ? 2 : 1;
  const uint32_t width = width_of(type);
  const uint32_t a = source(first, type), b = source(first + 1, type);
  if (type == Type::f16x2 || type == Type::bf16x2) {
    if (!two || combine >= 0) return false;
    const uint32_t both = temporary(4);
    emit_scalar(type == Type::f16x2 ? compare_halves<F16> : compare_halves<BF16>,
                static_cast<uint64_t>(how), {both, 4}, {{a, 4}, {b, 4}});
    const Scalar bit = [](uint64_t x, uint64_t, uint64_t, uint64_t shift) {
      return x >> shift & 1;
    };
    emit_scalar(bit, 0, {predicate_destination(operand(0)), 0}, {{both, 4}});
    emit_scalar(bit, 16, {predicate_destination(operand(1)), 0}, {{both, 4}});
    return true;
  }
  const bool simple = !two && combine < 0;
  const uint32_t result = simple ? predicate_destination(operand(0)) : temporary(0);
  const auto fast = ftz ? std::nullopt : fast_compare(how, type);
  if (fast) {
    emit(fast->code, {result, fast->swapped ? b : a, fast->swapped ? a : b}).imm =
        fast->inverted ? -1 : 0;
  } else {
    const Scalar function = compare_function(type);
    if (function == nullptr) return false;
    emit_scalar(function, static_cast<uint64_t>(how) | (ftz ? 32 : 0), {result, 0},
                {{a, width}, {b, width}});
  }
  if (simple) return true;
  // p = result op c, q = !result op c
  bool inverted = false;
  const uint32_t c = combine >= 0 ? predicate(operand(first + 2), inverted) : kTrueRow;
  const OpCode codes[3] = {OpCode::pred_and, OpCode::pred_or, OpCode::pred_xor};
  const OpCode code = combine >= 0 ? codes[combine] : OpCode::pred_and;
  const int64_t invert_c = inverted ? 2 : 0;
  if (two) {
    // c may be p: the second result goes first, by way of a temporary as it may be c as well.
    const uint32_t q = temporary(0);
    emit(code, {q, result, c}).imm = 1 | invert_c;
    emit(code, {predicate_destination(operand(0)), result, c}).imm = invert_c;
    emit(OpCode::pred_and, {predicate_destination(operand(1)), q, q});
  } else {
    emit(code, {predicate_destination(operand(0)), result, c}).imm = invert_c;
  }
  return true;
}

bool FunctionDecoder::set_value() {
  const int name = modifiers_.take_one(kCompareNames);
  if (name < 0) return false;
  const int combine = modifiers_.take_one({"and", "or", "xor"});
  const bool ftz = modifiers_.take("ftz");
  const Type to = modifiers_.take_type(), type = modifiers_.take_type();
  const uint32_t width = width_of(type), to_width = width_of(to);
  const uint32_t a = source(1, type), b = source(2, type);
  const uint64_t mode = static_cast<uint64_t>(name) | (ftz ? 32 : 0);
  if (type == Type::f16x2 || type == Type::bf16x2) {
    if (combine >= 0) return false;
    const uint32_t bits = temporary(4);
    emit_scalar(type == Type::f16x2 ? compare_halves<F16> : compare_halves<BF16>, mode, {bits, 4},
                {{a, 4}, {b, 4}});
    // True is 1.0 in a packed floating result, all ones otherwise.
    const uint64_t one = to == Type::f16x2 ? 0x3c00 : to == Type::bf16x2 ? 0x3f80 : 0xffff;
    if (to_width != 4) return false;
    emit_scalar([](uint64_t x, uint64_t, uint64_t, uint64_t value) { return x * value; }, one,
                {destination(0, 4), 4}, {{bits, 4}});
    return true;
  }
  const Scalar function = compare_function(type);
  if (function == nullptr) return false;
  const uint32_t result = temporary(0);
  emit_scalar(function, mode, {result, 0}, {{a, width}, {b, width}});
  if (combine >= 0) {
    bool inverted = false;
    const uint32_t c = predicate(operand(3), inverted);
    const OpCode codes[3] = {OpCode::pred_and, OpCode::pred_or, OpCode::pred_xor};
    emit(codes[combine], {result, result, c}).imm = inverted ? 2 : 0;
  }
  const uint64_t truth = to == Type::f32    ? 0x3f800000u
                         : to == Type::f16  ? 0x3c00u
                         : to == Type::bf16 ? 0x3f80u
                                            : ~uint64_t{0};
  const OpCode select = to_width == 2 ? OpCode::select16 : OpCode::select32;
  if (to_width > 4) return false;
  emit(select,
       {destination(0, to_width), constant(truth, to_width), constant(0, to_width), result});
  return true;
}

bool FunctionDecoder::select() {
  const Type type = modifiers_.take_type();
  const uint32_t width = width_of(type);
  if (width > 8 || type == Type::none) return false;
  const uint32_t a = source(1, type), b = source(2, type);
  bool inverted = false;
  const uint32_t p = predicate(operand(3), inverted);
  const OpCode codes[3] = {OpCode::select16, OpCode::select32, OpCode::select64};
  emit(codes[std::countr_zero(width) - 1], {destination(0, width), a, b, p}).imm =
      inverted ? -1 : 0;
  return true;
}

bool FunctionDecoder::select_by_sign() {
  const bool ftz = modifiers_.take("ftz");
  const Type type = modifiers_.take_type(), by = modifiers_.take_type();
  const uint32_t width = width_of(type);
  if (width > 8 || (by != Type::s32 && by != Type::f32)) return false;
  const uint32_t a = source(1, type), b = source(2, type), c = source(3, by);
  const uint32_t chosen = temporary(0);
  // c >= 0; a NaN selects b.
  if (by == Type::s32) {
    emit(OpCode::le_s32, {chosen, constant(0, 4), c});
  } else {
    emit_scalar(&CompareLanes::run<float>, static_cast<uint64_t>(Compare::ge) | (ftz ? 32 : 0),
                {chosen, 0}, {{c, 4}, {constant(0, 4), 4}});
  }
  const OpCode codes[3] = {OpCode::select16, OpCode::select32, OpCode::select64};
  emit(codes[std::countr_zero(width) - 1], {destination(0, width), a, b, chosen});
  return true;
}

}  // namespace assay::virtual_gpu
