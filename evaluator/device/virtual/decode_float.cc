// Floating-point instructions.
#include <algorithm>
#include <bit>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/scalar.h"

namespace assay::virtual_gpu {
namespace {

struct Add {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(add(get<T>(a), get<T>(b), float_mode(mode)));
  }
};
struct Subtract {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(sub(get<T>(a), get<T>(b), float_mode(mode)));
  }
};
struct Multiply {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(mul(get<T>(a), get<T>(b), float_mode(mode)));
  }
};
struct MultiplyAdd {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t c, uint64_t mode) {
    return to_register(fma(get<T>(a), get<T>(b), get<T>(c), float_mode(mode)));
  }
};
struct Negate {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
    return to_register(neg(get<T>(a), mode != 0));
  }
};
struct Absolute {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
    return to_register(abs(get<T>(a), mode != 0));
  }
};
MinMaxMode min_max_mode(uint64_t mode) {
  return {(mode & 1) != 0, (mode & 2) != 0, (mode & 4) != 0};
}
struct Minimum {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(min(get<T>(a), get<T>(b), min_max_mode(mode)));
  }
};
struct Maximum {
  template <typename T>
  static uint64_t run(uint64_t a, uint64_t b, uint64_t, uint64_t mode) {
    return to_register(max(get<T>(a), get<T>(b), min_max_mode(mode)));
  }
};

/// Hardware modes of the host for a rounding and flushing.
int64_t csr_of(Rounding rounding, bool ftz) {
  constexpr int64_t kMasked = 0x1f80;
  constexpr int64_t kRounding[] = {0, 0x6000, 0x2000, 0x4000, 0};
  return kMasked | kRounding[static_cast<size_t>(rounding)] | (ftz ? 0x8040 : 0);
}

#if defined(__x86_64__)
constexpr bool kHostHasModes = true;
#else
constexpr bool kHostHasModes = false;
#endif

struct Fast {
  OpCode plain, moded;
};

std::optional<Fast> fast_code(std::string_view name, Type type) {
  struct Row {
    std::string_view name;
    Type type;
    Fast fast;
  };
  static constexpr Row kRows[] = {
      {"add", Type::f32, {OpCode::add_f32, OpCode::add_f32_mode}},
      {"sub", Type::f32, {OpCode::sub_f32, OpCode::sub_f32_mode}},
      {"mul", Type::f32, {OpCode::mul_f32, OpCode::mul_f32_mode}},
      {"fma", Type::f32, {OpCode::fma_f32, OpCode::fma_f32_mode}},
      {"div", Type::f32, {OpCode::div_f32, OpCode::div_f32_mode}},
      {"rcp", Type::f32, {OpCode::rcp_f32, OpCode::rcp_f32_mode}},
      {"sqrt", Type::f32, {OpCode::sqrt_f32, OpCode::sqrt_f32_mode}},
      {"add", Type::f64, {OpCode::add_f64, OpCode::add_f64_mode}},
      {"sub", Type::f64, {OpCode::sub_f64, OpCode::sub_f64_mode}},
      {"mul", Type::f64, {OpCode::mul_f64, OpCode::mul_f64_mode}},
      {"fma", Type::f64, {OpCode::fma_f64, OpCode::fma_f64_mode}},
      {"div", Type::f64, {OpCode::div_f64, OpCode::div_f64_mode}},
      {"rcp", Type::f64, {OpCode::rcp_f64, OpCode::rcp_f64_mode}},
      {"sqrt", Type::f64, {OpCode::sqrt_f64, OpCode::sqrt_f64_mode}},
  };
  for (const Row& row : kRows) {
    if (row.name == name && row.type == type) return row.fast;
  }
  return std::nullopt;
}

template <float (*F)(float, bool)>
uint64_t approximate_f32(uint64_t a, uint64_t, uint64_t, uint64_t mode) {
  return to_register(F(get<float>(a), mode != 0));
}

}  // namespace

FunctionDecoder::FloatModifiers FunctionDecoder::float_modifiers() {
  FloatModifiers result;
  FloatMode mode;
  const int rounding = modifiers_.take_one({"rn", "rz", "rm", "rp"});
  mode.rounding = static_cast<Rounding>(std::max(rounding, 0));
  mode.ftz = modifiers_.take("ftz");
  mode.sat = modifiers_.take("sat");
  mode.relu = modifiers_.take("relu");
  modifiers_.take("noftz");
  result.mode = pack(mode);
  result.saturate = mode.sat;
  result.relu = mode.relu;
  result.plain = mode.rounding == Rounding::rn && !mode.ftz;
  result.csr = csr_of(mode.rounding, mode.ftz);
  return result;
}

bool FunctionDecoder::float_arithmetic(std::string_view name, Type type, size_t operands) {
  const FloatModifiers modifiers = float_modifiers();
  const uint32_t width = width_of(type);
  uint32_t rows[3] = {kTrueRow, kTrueRow, kTrueRow};
  for (size_t i = 0; i < operands; ++i) {
    const Operand& from = operand(i + 1);
    if (from.kind == Operand::Kind::vector) return false;
    rows[i] = source(i + 1, type);
  }
  const uint32_t d = destination(0, width);
  const auto fast = fast_code(name, type);
  const bool usable = fast && !modifiers.relu && (modifiers.plain || kHostHasModes) &&
                      !(modifiers.saturate && type == Type::f64);
  if (usable) {
    Op& op =
        operands == 1 ? emit(modifiers.plain ? fast->plain : fast->moded, {d, rows[0]})
        : operands == 2
            ? emit(modifiers.plain ? fast->plain : fast->moded, {d, rows[0], rows[1]})
            : emit(modifiers.plain ? fast->plain : fast->moded, {d, rows[0], rows[1], rows[2]});
    op.imm = modifiers.csr;
    if (modifiers.saturate) emit(OpCode::saturate_f32, {d, d});
    return true;
  }
  const bool half = modifiers.plain && !modifiers.saturate && !modifiers.relu;
  if (half && type == Type::f16x2 && name != "sub") {
    const OpCode code = name == "add"   ? OpCode::add_f16x2
                        : name == "mul" ? OpCode::mul_f16x2
                                        : OpCode::fma_f16x2;
    emit(code, {d, rows[0], rows[1], rows[2]});
    return true;
  }
  if (half && type == Type::f16 && name == "fma") {
    emit(OpCode::fma_f16, {d, rows[0], rows[1], rows[2]});
    return true;
  }
  const Scalar function = name == "add"   ? float_scalar<Add>(type)
                          : name == "sub" ? float_scalar<Subtract>(type)
                          : name == "mul" ? float_scalar<Multiply>(type)
                          : name == "fma" ? float_scalar<MultiplyAdd>(type)
                                          : nullptr;
  if (function == nullptr) return false;
  Op& op = emit_scalar(function, modifiers.mode, {d, width}, {{rows[0], width}, {rows[1], width}});
  if (operands == 3) {
    op.r[3] = rows[2];
    op.widths =
        static_cast<uint8_t>(op.widths | static_cast<uint32_t>(std::countr_zero(width)) << 6);
  }
  return true;
}

bool FunctionDecoder::float_multiply_add() {
  const Type type = modifiers_.take_type();
  return is_float(type) && float_arithmetic("fma", type, 3);
}

bool FunctionDecoder::divide() {
  const int kind = modifiers_.take_one({"approx", "full"});
  if (kind < 0) {
    const Type type = modifiers_.take_type();
    if (is_float(type)) return float_arithmetic("div", type, 2);
    // An integer division: integer_binary reads the type itself.
    modifiers_ = Modifiers(at_->opcode);
    return integer_binary();
  }
  const bool ftz = modifiers_.take("ftz");
  if (!modifiers_.take("f32")) return false;
  emit_scalar(kind == 0 ? Scalar{[](uint64_t a, uint64_t b, uint64_t, uint64_t m) {
                return to_register(div_approx(get<float>(a), get<float>(b), m != 0));
              }}
                        : Scalar{[](uint64_t a, uint64_t b, uint64_t, uint64_t m) {
                            return to_register(div_full(get<float>(a), get<float>(b), m != 0));
                          }},
              ftz, {destination(0, 4), 4}, {{source(1, Type::f32), 4}, {source(2, Type::f32), 4}});
  return true;
}

bool FunctionDecoder::reciprocal_or_root() {
  if (modifiers_.has("approx")) return approximate();
  const Type type = modifiers_.take_type();
  return (type == Type::f32 || type == Type::f64) && float_arithmetic(modifiers_.name(), type, 1);
}

bool FunctionDecoder::approximate() {
  const std::string_view name = modifiers_.name();
  if (!modifiers_.take("approx")) return false;
  const bool ftz = modifiers_.take("ftz");
  const Type type = modifiers_.take_type();
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, type);
  if (type == Type::f32 && name == "ex2") {
    emit(OpCode::ex2_f32, {destination(0, 4), a}).imm = ftz;
    return true;
  }
  Scalar function = nullptr;
  if (type == Type::f32) {
    function = name == "lg2"     ? &approximate_f32<lg2_approx>
               : name == "sin"   ? &approximate_f32<sin_approx>
               : name == "cos"   ? &approximate_f32<cos_approx>
               : name == "rsqrt" ? &approximate_f32<rsqrt_approx>
               : name == "rcp"   ? &approximate_f32<rcp_approx>
               : name == "sqrt"  ? &approximate_f32<sqrt_approx>
               : name == "tanh"  ? Scalar{[](uint64_t x, uint64_t, uint64_t, uint64_t) {
                   return to_register(tanh_approx(get<float>(x)));
                 }}
                                 : nullptr;
  } else if (type == Type::f64 && name == "rcp") {
    function = [](uint64_t x, uint64_t, uint64_t, uint64_t) {
      return to_register(rcp_approx(get<double>(x)));
    };
  } else if (type == Type::f64 && name == "rsqrt") {
    function = [](uint64_t x, uint64_t, uint64_t, uint64_t m) {
      return to_register(rsqrt_approx(get<double>(x), m != 0));
    };
  } else if (name == "ex2" || name == "tanh") {
    const bool power = name == "ex2";
    const auto pick = [&](auto example) -> Scalar {
      using T = decltype(example);
      return power ? Scalar{[](uint64_t x, uint64_t, uint64_t, uint64_t) {
        return to_register(ex2_approx(get<T>(x)));
      }}
                   : Scalar{[](uint64_t x, uint64_t, uint64_t, uint64_t) {
                       return to_register(tanh_approx(get<T>(x)));
                     }};
    };
    if (type == Type::f16) function = pick(F16{});
    if (type == Type::bf16) function = pick(BF16{});
    if (type == Type::f16x2) function = pick(F16x2{});
    if (type == Type::bf16x2) function = pick(BF16x2{});
  }
  if (function == nullptr) return false;
  emit_scalar(function, ftz, {destination(0, width), width}, {{a, width}});
  return true;
}

bool FunctionDecoder::float_minimum_maximum(Type type, bool maximum) {
  const bool ftz = modifiers_.take("ftz");
  const bool nan = modifiers_.take("NaN");
  const bool sign = modifiers_.take("xorsign");
  if (sign && !modifiers_.take("abs")) return false;
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, type), b = source(2, type), d = destination(0, width);
  if (operand_count() != 3) return false;  // the three-operand forms came after sm_90
  if (type == Type::f32 && !ftz && !nan && !sign) {
    emit(maximum ? OpCode::max_f32 : OpCode::min_f32, {d, a, b});
    return true;
  }
  if (type == Type::f32x2) return false;
  const uint64_t mode = (ftz ? 1 : 0) | (nan ? 2 : 0) | (sign ? 4 : 0);
  const auto scalar_of = [&]<typename F>(F) -> Scalar {
    switch (type) {
      case Type::f32:
        return &F::template run<float>;
      case Type::f64:
        return &F::template run<double>;
      case Type::f16:
        return &F::template run<F16>;
      case Type::bf16:
        return &F::template run<BF16>;
      case Type::f16x2:
        return &F::template run<F16x2>;
      case Type::bf16x2:
        return &F::template run<BF16x2>;
      default:
        return nullptr;
    }
  };
  const Scalar function = maximum ? scalar_of(Maximum{}) : scalar_of(Minimum{});
  if (function == nullptr) return false;
  emit_scalar(function, mode, {d, width}, {{a, width}, {b, width}});
  return true;
}

bool FunctionDecoder::float_sign(Type type, bool absolute) {
  const bool ftz = modifiers_.take("ftz");
  const uint32_t width = width_of(type);
  const uint32_t a = source(1, type), d = destination(0, width);
  if (type == Type::f64) {
    emit(absolute ? OpCode::abs_f64 : OpCode::neg_f64, {d, a});
    return true;
  }
  if (type == Type::f32 && !ftz) {
    emit(absolute ? OpCode::abs_f32 : OpCode::neg_f32, {d, a});
    return true;
  }
  if (type == Type::f32x2 || type == Type::tf32) return false;
  emit_scalar(absolute ? float_scalar<Absolute>(type) : float_scalar<Negate>(type),
              type == Type::f32 && ftz, {d, width}, {{a, width}});
  return true;
}

bool FunctionDecoder::copy_sign() {
  const Type type = modifiers_.take_type();
  const uint32_t width = width_of(type);
  const Scalar function =
      type == Type::f32   ? Scalar{[](uint64_t a, uint64_t b, uint64_t, uint64_t) {
        return to_register(copysign(get<float>(a), get<float>(b)));
      }}
      : type == Type::f64 ? Scalar{[](uint64_t a, uint64_t b, uint64_t, uint64_t) {
          return to_register(copysign(get<double>(a), get<double>(b)));
        }}
                          : nullptr;
  if (function == nullptr) return false;
  emit_scalar(function, 0, {destination(0, width), width},
              {{source(1, type), width}, {source(2, type), width}});
  return true;
}

bool FunctionDecoder::test_property() {
  const int property =
      modifiers_.take_one({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = modifiers_.take_type();
  if (property < 0 || (type != Type::f32 && type != Type::f64)) return false;
  emit_scalar(type == Type::f32
                  ? Scalar{[](uint64_t a, uint64_t, uint64_t, uint64_t m) -> uint64_t {
                      return testp(static_cast<TestProperty>(m), get<float>(a));
                    }}
                  : Scalar{[](uint64_t a, uint64_t, uint64_t, uint64_t m) -> uint64_t {
                      return testp(static_cast<TestProperty>(m), get<double>(a));
                    }},
              static_cast<uint64_t>(property), {predicate_destination(operand(0)), 0},
              {{source(1, type), width_of(type)}});
  return true;
}

}  // namespace assay::virtual_gpu
