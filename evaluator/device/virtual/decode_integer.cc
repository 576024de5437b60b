// Integer and bit instructions.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"

namespace assay::virtual_gpu {
namespace {

uint32_t width_of(Type type) { return std::max(bytes_of(type), 2u); }

bool is_integer(Type type) { return type >= Type::b16 && type <= Type::s64 && type != Type::b128; }

struct MulHi {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(mul_hi(get<T>(a), get<T>(b)));
  }
};
struct MulLo {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(mul_lo(get<T>(a), get<T>(b)));
  }
};
struct MadLo {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t) {
    return to_register(add_wrap(mul_lo(get<T>(a), get<T>(b)), get<T>(c)));
  }
};
struct MadHi {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t) {
    return to_register(add_wrap(mul_hi(get<T>(a), get<T>(b)), get<T>(c)));
  }
};
struct Divide {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(divide(get<T>(a), get<T>(b)));
  }
};
struct Remainder {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(remainder(get<T>(a), get<T>(b)));
  }
};
struct Sad {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t) {
    return to_register(sad(get<T>(a), get<T>(b), get<T>(c)));
  }
};
struct Minimum {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(min(get<T>(a), get<T>(b)));
  }
};
struct Maximum {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t) {
    return to_register(max(get<T>(a), get<T>(b)));
  }
};
struct Negate {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t) {
    return to_register(neg(get<T>(a)));
  }
};
struct Absolute {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t) {
    return to_register(abs(get<T>(a)));
  }
};
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
struct Carry {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t mode) {
    using U = UnsignedOf<T>;
    bool carry = c != 0;
    const U result = (mode & 2) != 0 ? sub_borrow(get<U>(a), get<U>(b), carry)
                                     : add_carry(get<U>(a), get<U>(b), carry);
    return (mode & 1) != 0 ? carry : to_register(result);
  }
};

/// mul24: mode 1 for the high part.
struct ShortProduct {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(mode != 0 ? mul24_hi(get<T>(a), get<T>(b)) : mul24_lo(get<T>(a), get<T>(b)));
  }
};
Scalar short_product_of(Type type) {
  return is_signed(type) ? &ShortProduct::run<int32_t> : &ShortProduct::run<uint32_t>;
}

}  // namespace

bool FunctionDecoder::add_subtract() {
  const bool subtract = modifiers_.name() == "sub";
  if (modifiers_.has("cc")) return carry_arithmetic();
  const Type type = modifiers_.take_type();
  if (is_float(type)) return float_arithmetic(modifiers_.name(), type, 2);
  if (type == Type::u16x2 || type == Type::s16x2) {
    if (subtract) return false;
    emit_scalar(
        [](uint64_t a, uint64_t b, uint64_t, uint64_t) -> uint64_t {
          return add_16x2(static_cast<uint32_t>(a), static_cast<uint32_t>(b));
        },
        0, {destination(0, 4), 4}, {{source(1, 4), 4}, {source(2, 4), 4}});
    return true;
  }
  if (!is_integer(type)) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width), b = source(2, width), d = destination(0, width);
  if (modifiers_.take("sat")) {
    if (type != Type::s32) return false;
    emit_scalar(subtract ? Scalar{[](uint64_t x, uint64_t y, uint64_t, uint64_t) {
                  return to_register(sub_sat(get<int32_t>(x), get<int32_t>(y)));
                }}
                         : Scalar{[](uint64_t x, uint64_t y, uint64_t, uint64_t) {
                             return to_register(add_sat(get<int32_t>(x), get<int32_t>(y)));
                           }},
                0, {d, 4}, {{a, 4}, {b, 4}});
    return true;
  }
  const OpCode codes[2][3] = {{OpCode::add16, OpCode::add32, OpCode::add64},
                              {OpCode::sub16, OpCode::sub32, OpCode::sub64}};
  emit(codes[subtract][std::countr_zero(width) - 1], {d, a, b});
  return true;
}

bool FunctionDecoder::carry_arithmetic() {
  std::string_view name = modifiers_.name();
  const bool multiplies = name.starts_with("mad");
  const bool subtract = name.starts_with("sub");
  const bool carry_in = name.ends_with("c");
  const bool carry_out = modifiers_.take("cc");
  const bool high = multiplies && modifiers_.take("hi");
  if (multiplies && !high && !modifiers_.take("lo")) return false;
  const Type type = modifiers_.take_type();
  const uint32_t width = width_of(type);
  if (!is_integer(type) || width < 4) return false;
  uint32_t a = source(1, width);
  uint32_t b = source(2, width);
  if (multiplies) {
    const uint32_t product = temporary(width);
    emit_scalar(high ? integer_scalar<MulHi>(type) : integer_scalar<MulLo>(type), 0,
                {product, width}, {{a, width}, {b, width}});
    a = product;
    b = source(3, width);
  }
  const uint32_t carry = carry_in ? kCarryRow : constant(0, 0);
  const Scalar function = integer_scalar<Carry>(type);
  const uint64_t mode = subtract ? 2 : 0;
  // The carry is computed aside first, because d may be an operand, and moved last.
  const uint32_t next = temporary(0);
  if (carry_out) emit_scalar(function, mode | 1, {next, 0}, {{a, width}, {b, width}, {carry, 0}});
  emit_scalar(function, mode, {destination(0, width), width}, {{a, width}, {b, width}, {carry, 0}});
  if (carry_out) emit(OpCode::pred_and, {kCarryRow, next, next});
  return true;
}

bool FunctionDecoder::multiply() {
  const bool short_product = modifiers_.name() == "mul24";
  const int part = modifiers_.take_one({"lo", "hi", "wide"});
  const Type type = modifiers_.take_type();
  if (is_float(type)) return part < 0 && float_arithmetic("mul", type, 2);
  if (!is_integer(type) || part < 0) return false;
  const uint32_t width = width_of(type);
  if (part == 2) {
    if (short_product || width > 4) return false;
    const uint32_t a = source(1, width), b = source(2, width);
    const uint32_t d = destination(0, 2 * width);
    const OpCode code = width == 2
                            ? (is_signed(type) ? OpCode::mul_wide_s16 : OpCode::mul_wide_u16)
                            : (is_signed(type) ? OpCode::mul_wide_s32 : OpCode::mul_wide_u32);
    emit(code, {d, a, b});
    return true;
  }
  const uint32_t a = source(1, width), b = source(2, width), d = destination(0, width);
  if (short_product) {
    if (width != 4) return false;
    emit_scalar(short_product_of(type), part == 1, {d, 4}, {{a, 4}, {b, 4}});
    return true;
  }
  if (part == 0) {
    const OpCode codes[3] = {OpCode::mul16, OpCode::mul32, OpCode::mul64};
    emit(codes[std::countr_zero(width) - 1], {d, a, b});
  } else if (width == 4) {
    emit(is_signed(type) ? OpCode::mul_hi_s32 : OpCode::mul_hi_u32, {d, a, b});
  } else {
    emit_scalar(integer_scalar<MulHi>(type), 0, {d, width}, {{a, width}, {b, width}});
  }
  return true;
}

bool FunctionDecoder::multiply_add() {
  if (modifiers_.has("cc")) return carry_arithmetic();
  const bool short_product = modifiers_.name() == "mad24";
  const int part = modifiers_.take_one({"lo", "hi", "wide"});
  const Type type = modifiers_.take_type();
  if (is_float(type)) return part < 0 && float_arithmetic("fma", type, 3);
  if (!is_integer(type) || part < 0) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width), b = source(2, width);
  if (part == 2) {
    if (width > 4) return false;
    const uint32_t c = source(3, 2 * width), d = destination(0, 2 * width);
    if (width == 4) {
      emit(is_signed(type) ? OpCode::mad_wide_s32 : OpCode::mad_wide_u32, {d, a, b, c});
      return true;
    }
    const uint32_t product = temporary(4);
    emit(is_signed(type) ? OpCode::mul_wide_s16 : OpCode::mul_wide_u16, {product, a, b});
    emit(OpCode::add32, {d, product, c});
    return true;
  }
  const uint32_t c = source(3, width), d = destination(0, width);
  if (short_product) {
    if (width != 4 || modifiers_.take("sat")) return false;
    const uint32_t product = temporary(4);
    emit_scalar(short_product_of(type), part == 1, {product, 4}, {{a, 4}, {b, 4}});
    emit(OpCode::add32, {d, product, c});
    return true;
  }
  if (modifiers_.take("sat")) {
    if (type != Type::s32 || part != 1) return false;
    emit_scalar(
        [](uint64_t x, uint64_t y, uint64_t z, uint64_t) {
          return to_register(mad_hi_sat(get<int32_t>(x), get<int32_t>(y), get<int32_t>(z)));
        },
        0, {d, 4}, {{a, 4}, {b, 4}, {c, 4}});
    return true;
  }
  if (part == 0 && width > 2) {
    emit(width == 4 ? OpCode::mad32 : OpCode::mad64, {d, a, b, c});
  } else {
    emit_scalar(part == 0 ? integer_scalar<MadLo>(type) : integer_scalar<MadHi>(type), 0,
                {d, width}, {{a, width}, {b, width}, {c, width}});
  }
  return true;
}

bool FunctionDecoder::integer_binary() {
  const std::string_view name = modifiers_.name();
  const Type type = modifiers_.take_type();
  if (!is_integer(type)) return false;
  const uint32_t width = width_of(type);
  const Scalar function = name == "div"   ? integer_scalar<Divide>(type)
                          : name == "rem" ? integer_scalar<Remainder>(type)
                                          : integer_scalar<Sad>(type);
  const Place a{source(1, width), width}, b{source(2, width), width};
  const Place d{destination(0, width), width};
  if (name == "sad") {
    emit_scalar(function, 0, d, {a, b, {source(3, width), width}});
  } else {
    emit_scalar(function, 0, d, {a, b});
  }
  return true;
}

bool FunctionDecoder::minimum_maximum() {
  const bool maximum = modifiers_.name() == "max";
  const bool relu = modifiers_.take("relu");
  const Type type = modifiers_.take_type();
  if (is_float(type)) return !relu && float_minimum_maximum(type, maximum);
  if (type == Type::u16x2 || type == Type::s16x2) {
    const uint64_t mode = (maximum ? 1 : 0) | (type == Type::s16x2 ? 2 : 0) | (relu ? 4 : 0);
    emit_scalar(
        [](uint64_t a, uint64_t b, uint64_t, uint64_t m) -> uint64_t {
          const auto x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
          const bool is_signed = (m & 2) != 0, with_relu = (m & 4) != 0;
          return (m & 1) != 0 ? max_16x2(x, y, is_signed, with_relu)
                              : min_16x2(x, y, is_signed, with_relu);
        },
        mode, {destination(0, 4), 4}, {{source(1, 4), 4}, {source(2, 4), 4}});
    return true;
  }
  if (!is_integer(type)) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width), b = source(2, width), d = destination(0, width);
  if (relu) {
    if (type != Type::s32) return false;
    emit_scalar(
        [](uint64_t x, uint64_t y, uint64_t, uint64_t m) {
          const auto p = get<int32_t>(x), q = get<int32_t>(y);
          return to_register(m != 0 ? max_relu(p, q) : min_relu(p, q));
        },
        maximum, {d, 4}, {{a, 4}, {b, 4}});
  } else if (width == 4) {
    const OpCode codes[2][2] = {{OpCode::min_u32, OpCode::min_s32},
                                {OpCode::max_u32, OpCode::max_s32}};
    emit(codes[maximum][is_signed(type)], {d, a, b});
  } else {
    emit_scalar(maximum ? integer_scalar<Maximum>(type) : integer_scalar<Minimum>(type), 0,
                {d, width}, {{a, width}, {b, width}});
  }
  return true;
}

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
  if (!is_integer(type)) return false;
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
  if (!is_integer(type)) return false;
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
  if (!is_integer(type) || width_of(type) < 4) return false;
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
  if (!is_integer(type) || width_of(type) < 4) return false;
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

bool FunctionDecoder::dot_product() {
  const bool four = modifiers_.name() == "dp4a";
  const int half = four ? 0 : modifiers_.take_one({"lo", "hi"});
  const Type a_type = modifiers_.take_type(), b_type = modifiers_.take_type();
  if (half < 0 || width_of(a_type) != 4 || width_of(b_type) != 4) return false;
  const uint64_t mode = (four ? 0 : 1) | (is_signed(a_type) ? 2 : 0) | (is_signed(b_type) ? 4 : 0) |
                        static_cast<uint64_t>(half) << 3;
  emit_scalar(
      [](uint64_t a, uint64_t b, uint64_t c, uint64_t m) -> uint64_t {
        const auto x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
        const auto z = static_cast<uint32_t>(c);
        const bool a_signed = (m & 2) != 0, b_signed = (m & 4) != 0;
        return (m & 1) == 0 ? dp4a(x, a_signed, y, b_signed, z)
                            : dp2a(x, a_signed, y, b_signed, z, (m & 8) != 0);
      },
      mode, {destination(0, 4), 4}, {{source(1, 4), 4}, {source(2, 4), 4}, {source(3, 4), 4}});
  return true;
}

/// The absolute differences of four bytes each, or (mode bit 0) c plus their sum. Bits 1 and 2: the
/// bytes of a and b are signed.
uint64_t byte_differences_lane(uint64_t a, uint64_t b, uint64_t c, uint64_t mode) {
  const auto byte = [](uint64_t word, int i, bool is_signed) {
    const auto bits = static_cast<uint8_t>(word >> (8 * i));
    return is_signed ? int{static_cast<int8_t>(bits)} : int{bits};
  };
  uint32_t packed = 0;
  auto sum = static_cast<uint32_t>(c);
  for (int i = 0; i < 4; ++i) {
    const auto difference =
        static_cast<uint32_t>(std::abs(byte(a, i, (mode & 2) != 0) - byte(b, i, (mode & 4) != 0)));
    packed |= difference << (8 * i);
    sum += difference;
  }
  return (mode & 1) != 0 ? sum : packed;
}

bool FunctionDecoder::byte_differences() {
  const Type d_type = modifiers_.take_type();
  const Type a_type = modifiers_.take_type(), b_type = modifiers_.take_type();
  const auto is_word = [](Type type) { return type == Type::u32 || type == Type::s32; };
  if (d_type != Type::u32 || !is_word(a_type) || !is_word(b_type)) return false;
  const uint64_t mode =
      (modifiers_.take("add") ? 1 : 0) | (is_signed(a_type) ? 2 : 0) | (is_signed(b_type) ? 4 : 0);
  emit_scalar(byte_differences_lane, mode, {destination(0, 4), 4},
              {{source(1, 4), 4}, {source(2, 4), 4}, {source(3, 4), 4}});
  return true;
}

bool FunctionDecoder::sign_operation() {
  const bool absolute = modifiers_.name() == "abs";
  const Type type = modifiers_.take_type();
  if (is_float(type)) return float_sign(type, absolute);
  if (!is_integer(type)) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, width), d = destination(0, width);
  if (!absolute && width > 2) {
    emit(width == 4 ? OpCode::neg32 : OpCode::neg64, {d, a});
  } else if (absolute && width == 4) {
    emit(OpCode::abs_s32, {d, a});
  } else {
    emit_scalar(absolute ? integer_scalar<Absolute>(type) : integer_scalar<Negate>(type), 0,
                {d, width}, {{a, width}});
  }
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
