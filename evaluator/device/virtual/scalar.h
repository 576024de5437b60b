// Scalar functions (program.h) from the arithmetic of arithmetic*.h.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/arithmetic.h"
#include "evaluator/device/virtual/program.h"
#include "evaluator/device/virtual/types.h"

namespace assay::virtual_gpu {

/// F::run<T> as a Scalar for the integer type `type`; null for others.
template <typename F>
Scalar integer_scalar(Type type) {
  switch (type) {
    case Type::u16:
      return &F::template run<uint16_t>;
    case Type::s16:
      return &F::template run<int16_t>;
    case Type::u32:
      return &F::template run<uint32_t>;
    case Type::s32:
      return &F::template run<int32_t>;
    case Type::u64:
      return &F::template run<uint64_t>;
    case Type::s64:
      return &F::template run<int64_t>;
    case Type::b16:
      return &F::template run<uint16_t>;
    case Type::b32:
      return &F::template run<uint32_t>;
    case Type::b64:
      return &F::template run<uint64_t>;
    default:
      return nullptr;
  }
}

/// The same for a floating type, scalar or packed.
template <typename F>
Scalar float_scalar(Type type) {
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
    case Type::f32x2:
      return &F::template run<Pair<float>>;
    default:
      return nullptr;
  }
}

template <typename T>
inline T get(uint64_t bits) {
  return from_register<T>(bits);
}

/// FloatMode in the mode word of a scalar function.
inline uint64_t pack(FloatMode mode) {
  return static_cast<uint64_t>(mode.rounding) | uint64_t{mode.ftz} << 3 | uint64_t{mode.sat} << 4 |
         uint64_t{mode.relu} << 5;
}
inline FloatMode float_mode(uint64_t mode) {
  FloatMode result;
  result.rounding = static_cast<Rounding>(mode & 7);
  result.ftz = (mode >> 3 & 1) != 0;
  result.sat = (mode >> 4 & 1) != 0;
  result.relu = (mode >> 5 & 1) != 0;
  return result;
}

inline uint64_t pack(const ConvertMode& mode) {
  return static_cast<uint64_t>(mode.rounding) | uint64_t{mode.ftz} << 3 | uint64_t{mode.sat} << 4 |
         uint64_t{mode.relu} << 5 | uint64_t{mode.satfinite} << 6 | uint64_t{mode.to_integer} << 7;
}
inline ConvertMode convert_mode(uint64_t mode) {
  ConvertMode result;
  result.rounding = static_cast<Rounding>(mode & 7);
  result.ftz = (mode >> 3 & 1) != 0;
  result.sat = (mode >> 4 & 1) != 0;
  result.relu = (mode >> 5 & 1) != 0;
  result.satfinite = (mode >> 6 & 1) != 0;
  result.to_integer = (mode >> 7 & 1) != 0;
  return result;
}

}  // namespace assay::virtual_gpu
