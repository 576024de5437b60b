// Integer arithmetic.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"

namespace assay::virtual_gpu {
namespace {

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
  if (!is_bits_or_integer(type)) return false;
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
  if (!is_bits_or_integer(type) || width < 4) return false;
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
  if (!is_bits_or_integer(type) || part < 0) return false;
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
  if (!is_bits_or_integer(type) || part < 0) return false;
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
  if (!is_bits_or_integer(type)) return false;
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
  if (!is_bits_or_integer(type)) return false;
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
  if (!is_bits_or_integer(type)) return false;
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

}  // namespace assay::virtual_gpu
