// Instructions on bits: logic, shifts, fields, counts, permutations.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"

namespace assay::virtual_gpu {
namespace {

struct ShiftLeft {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(shl(get<T>(a), static_cast<uint32_t>(b)));
  }
};
struct ShiftRight {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(shr(get<T>(a), static_cast<uint32_t>(b)));
  }
};
struct ExtractBits {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t) {
    return to_register(bfe(get<T>(a), static_cast<uint32_t>(b), static_cast<uint32_t>(c)));
  }
};
/// mode: the length in the low half; position in c.
struct InsertBits {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t) {
    return to_register(
        bfi(get<T>(a), get<T>(b), static_cast<uint32_t>(c), static_cast<uint32_t>(c >> 32)));
  }
};
struct CountOnes {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t) {
    return popc(get<T>(a));
  }
};
struct CountZeros {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t) {
    return clz(get<T>(a));
  }
};
struct ReverseBits {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t) {
    return to_register(brev(get<T>(a)));
  }
};
struct FindBit {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
    return bfind(get<T>(a), mode != 0);
  }
};
struct Lop3 {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t mode) {
    return to_register(lop3(get<T>(a), get<T>(b), get<T>(c), static_cast<uint8_t>(mode)));
  }
};
uint64_t logical_not(uint64_t a, uint64_t, uint64_t, uint64_t) { return a == 0; }
uint64_t not_zero(uint64_t a, uint64_t, uint64_t, uint64_t) { return a != 0; }

/// add, addc, sub, subc, and the sum of mad.cc, madc. c: the carry. mode 0: the result, 1: the new
/// carry; plus 2 for subtraction.
}  // namespace

bool FunctionDecoder::bitwise() {
  const std::string_view name = modifiers_.name();
  const Type type = modifiers_.take_type();
  const int which = name == "and"   ? 0
                    : name == "or"  ? 1
                    : name == "xor" ? 2
                    : name == "not" ? 3
                                    : 4;
  if (type == Type::pred) {
    bool a_inverted = false, b_inverted = false;
    const uint32_t a = predicate(operand(1), a_inverted);
    const uint32_t d = predicate_destination(operand(0));
    if (which >= 3) {
      if (which == 4) return false;
      emit(OpCode::pred_and, {d, a, a}).imm = a_inverted ? 0 : 4;
      return true;
    }
    const uint32_t b = predicate(operand(2), b_inverted);
    const OpCode codes[3] = {OpCode::pred_and, OpCode::pred_or, OpCode::pred_xor};
    emit(codes[which], {d, a, b}).imm = (a_inverted ? 1 : 0) | (b_inverted ? 2 : 0);
    return true;
  }
  if (!is_bits_or_integer(type)) return false;
  const uint32_t width = width_of(type);
  const int size = std::countr_zero(width) - 1;
  const uint32_t a = source(1, width);
  if (which == 4) {
    emit_scalar(logical_not, 0, {destination(0, width), width}, {{a, width}});
    return true;
  }
  if (which == 3) {
    const OpCode codes[3] = {OpCode::not16, OpCode::not32, OpCode::not64};
    emit(codes[size], {destination(0, width), a});
    return true;
  }
  const OpCode codes[3][3] = {{OpCode::and16, OpCode::and32, OpCode::and64},
                              {OpCode::or16, OpCode::or32, OpCode::or64},
                              {OpCode::xor16, OpCode::xor32, OpCode::xor64}};
  const uint32_t b = source(2, width);
  emit(codes[which][size], {destination(0, width), a, b});
  return true;
}

bool FunctionDecoder::shift() {
  const bool left = modifiers_.name() == "shl";
  const Type type = modifiers_.take_type();
  if (!is_bits_or_integer(type)) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width), b = source(2, 4), d = destination(0, width);
  if (width == 2) {
    emit_scalar(left ? integer_scalar<ShiftLeft>(type) : integer_scalar<ShiftRight>(type), 0,
                {d, 2}, {{a, 2}, {b, 4}});
    return true;
  }
  const OpCode codes[2][3] = {{OpCode::shl32, OpCode::shr_u32, OpCode::shr_s32},
                              {OpCode::shl64, OpCode::shr_u64, OpCode::shr_s64}};
  emit(codes[width == 8][left ? 0 : is_signed(type) ? 2 : 1], {d, a, b});
  return true;
}

bool FunctionDecoder::funnel_shift() {
  const int direction = modifiers_.take_one({"l", "r"});
  const int kind = modifiers_.take_one({"clamp", "wrap"});
  if (direction < 0 || kind < 0 || !modifiers_.take("b32")) return false;
  const uint32_t a = source(1, 4), b = source(2, 4), c = source(3, 4);
  emit(direction == 0 ? OpCode::shf_left : OpCode::shf_right, {destination(0, 4), a, b, c}).imm =
      kind;
  return true;
}

bool FunctionDecoder::lop3() {
  const int combine = modifiers_.take_one({"or", "and"});
  if (!modifiers_.take("b32")) return false;
  const size_t first = combine >= 0 ? 1 : 0;  // d|p
  const auto table = integer(operand(first + 4));
  if (!table) return refuse("a table that is no constant");
  const uint32_t a = source(first + 1, 4), b = source(first + 2, 4), c = source(first + 3, 4);
  const uint32_t d = combine >= 0 ? temporary(4) : destination(0, 4);
  emit(OpCode::lop3_32, {d, a, b, c}).imm = *table & 0xff;
  if (combine < 0) return true;
  // p = (d != 0) BoolOp q
  bool inverted = false;
  const uint32_t q = predicate(operand(first + 5), inverted);
  const uint32_t truth = temporary(0);
  emit_scalar(not_zero, 0, {truth, 0}, {{d, 4}});
  emit(combine == 0 ? OpCode::pred_or : OpCode::pred_and,
       {predicate_destination(operand(1)), truth, q})
      .imm = inverted ? 2 : 0;
  if (operand(0).kind != Operand::Kind::sink) emit(OpCode::mov32, {destination(0, 4), d});
  return true;
}

bool FunctionDecoder::bit_field() {
  const bool insert = modifiers_.name() == "bfi";
  const Type type = modifiers_.take_type();
  if (!is_bits_or_integer(type) || width_of(type) < 4) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width);
  if (!insert) {
    const uint32_t b = source(2, 4), c = source(3, 4);
    const uint32_t d = destination(0, width);
    const auto position = integer(operand(2)), length = integer(operand(3));
    if (type == Type::u32 && position && length && *position >= 0 && *position < 32 &&
        *length > 0 && *length < 256) {
      emit(OpCode::bfe_u32, {d, a, b}).imm = *length;
      return true;
    }
    emit_scalar(integer_scalar<ExtractBits>(type), 0, {d, width}, {{a, width}, {b, 4}, {c, 4}});
    return true;
  }
  // Position and length share an operand.
  const uint32_t position = source(3, 4), length = source(4, 4);
  const uint32_t both = temporary(8);
  emit_scalar([](uint64_t x, uint64_t y, uint64_t, uint64_t) { return x | y << 32; }, 0, {both, 8},
              {{position, 4}, {length, 4}});
  const uint32_t b = source(2, width);
  emit_scalar(integer_scalar<InsertBits>(type), 0, {destination(0, width), width},
              {{a, width}, {b, width}, {both, 8}});
  return true;
}

bool FunctionDecoder::bit_count() {
  const std::string_view name = modifiers_.name();
  if (name == "fns") {
    if (!modifiers_.take("b32")) return false;
    emit_scalar(
        [](uint64_t a, uint64_t b, uint64_t c, uint64_t) -> uint64_t {
          return fns(static_cast<uint32_t>(a), static_cast<uint32_t>(b), get<int32_t>(c));
        },
        0, {destination(0, 4), 4}, {{source(1, 4), 4}, {source(2, 4), 4}, {source(3, 4), 4}});
    return true;
  }
  const bool shift_amount = modifiers_.take("shiftamt");
  const Type type = modifiers_.take_type();
  if (!is_bits_or_integer(type) || width_of(type) < 4) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width);
  if (name == "popc" && width == 4) {
    emit(OpCode::popc32, {destination(0, 4), a});
    return true;
  }
  const uint32_t result = name == "brev" ? width : 4;
  const Scalar function = name == "popc"   ? integer_scalar<CountOnes>(type)
                          : name == "clz"  ? integer_scalar<CountZeros>(type)
                          : name == "brev" ? integer_scalar<ReverseBits>(type)
                                           : integer_scalar<FindBit>(type);
  emit_scalar(function, shift_amount, {destination(0, result), result}, {{a, width}});
  return true;
}

bool FunctionDecoder::permute_bytes() {
  if (!modifiers_.take("b32")) return false;
  const int mode = modifiers_.take_one({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"}) + 1;
  if (mode == 0) {
    const uint32_t a = source(1, 4), b = source(2, 4), c = source(3, 4);
    emit(OpCode::prmt_bytes, {destination(0, 4), a, b, c});
    return true;
  }
  emit_scalar(
      [](uint64_t a, uint64_t b, uint64_t c, uint64_t m) -> uint64_t {
        return prmt(static_cast<uint32_t>(a), static_cast<uint32_t>(b), static_cast<uint32_t>(c),
                    static_cast<PermuteMode>(m));
      },
      static_cast<uint64_t>(mode), {destination(0, 4), 4},
      {{source(1, 4), 4}, {source(2, 4), 4}, {source(3, 4), 4}});
  return true;
}

bool FunctionDecoder::extend_bits() {
  const bool mask = modifiers_.name() == "bmsk";
  const int kind = modifiers_.take_one({"clamp", "wrap"});
  const Type type = modifiers_.take_type();
  if (kind < 0 || width_of(type) != 4) return false;
  const uint64_t mode = (mask ? 1 : 0) | (is_signed(type) ? 2 : 0) | (kind == 1 ? 4 : 0);
  emit_scalar(
      [](uint64_t a, uint64_t b, uint64_t, uint64_t m) -> uint64_t {
        const auto x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
        const bool wrap = (m & 4) != 0;
        return (m & 1) != 0 ? bmsk(x, y, wrap) : szext(x, y, (m & 2) != 0, wrap);
      },
      mode, {destination(0, 4), 4}, {{source(1, 4), 4}, {source(2, 4), 4}});
  return true;
}

}  // namespace assay::virtual_gpu
