// Expectations by plain C++: the host's unit in another rounding mode, flushes, and the names of
// types and roundings in PTX.
#pragma once

#include <cmath>
#include <string>

#include "tests/virtual_arithmetic/oracle.h"
#include "tests/virtual_programs/program.h"

namespace assay::virtual_programs {

using virtual_gpu::Rounding;

inline constexpr Check kAnyNan{Check::Kind::any_nan, 0, 0};

inline const char* name(Rounding rounding) {
  switch (rounding) {
    case Rounding::rn:
      return "rn";
    case Rounding::rz:
      return "rz";
    case Rounding::rm:
      return "rm";
    case Rounding::rp:
      return "rp";
    case Rounding::rna:
      return "rna";
  }
  return "";
}

template <typename T>
std::string type_name() {
  if constexpr (std::is_same_v<T, float>) return "f32";
  if constexpr (std::is_same_v<T, double>) return "f64";
  if constexpr (std::is_same_v<T, F16>) return "f16";
  if constexpr (std::is_same_v<T, BF16>) return "bf16";
  if constexpr (std::is_same_v<T, Pair<F16>>) return "f16x2";
  if constexpr (std::is_same_v<T, Pair<BF16>>) return "bf16x2";
  if constexpr (std::is_integral_v<T>) {
    return (std::is_signed_v<T> ? "s" : "u") + std::to_string(8 * sizeof(T));
  }
  return "";
}

/// The operation with the host rounding like this. What it returns is kept from being computed
/// earlier or later by going through memory.
template <typename Operation>
auto in_rounding(Rounding rounding, Operation operation) {
  return [rounding, operation](auto... operands) {
    virtual_gpu::oracle::HostRounding host(rounding);
    volatile auto result = operation(virtual_gpu::oracle::pinned(operands)...);
    return static_cast<decltype(operation(operands...))>(result);
  };
}

/// Subnormal to zero of the same sign.
inline float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

/// Into [0, 1], NaN to +0.
template <typename T>
T saturated(T x) {
  if (!(x > 0)) return 0;
  return x > 1 ? T(1) : x;
}

}  // namespace assay::virtual_programs
