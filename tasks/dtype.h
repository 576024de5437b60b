// The element types of tensors and scalars.
#pragma once

#include "tasks/integers.h"

#ifndef __CUDACC_RTC__
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#endif

namespace assay {

/// tf32 is stored as f32 with the low 13 mantissa bits zero. boolean is one byte, 0 or 1.
enum class Dtype : uint8_t {
  f64,
  f32,
  tf32,
  f16,
  bf16,
  e4m3,
  e5m2,
  i64,
  i32,
  i16,
  i8,
  u32,
  u8,
  boolean,
};
inline constexpr int kDtypeCount = 14;

#ifndef __CUDACC_RTC__
size_t size_bytes(Dtype dtype);
/// "f32", "bf16", "bool", ... as task files spell it.
std::string_view name(Dtype dtype);
std::optional<Dtype> dtype_from_name(std::string_view name);
bool is_floating(Dtype dtype);
/// The C++ type a candidate sees behind the pointer: "float", "__half", "long long", ...
std::string_view cuda_type(Dtype dtype);

/// The element at `element` (size_bytes(dtype) bytes, any alignment) as a double. Exact but for
/// i64 beyond 2^53. A boolean is 0 or 1.
double to_double(Dtype dtype, const void* element);

/// Writes `value` as one element: rounded to nearest, ties to even. Floating dtypes overflow to
/// infinity (e4m3, which has none, to NaN); integers saturate and take NaN as 0; a boolean is
/// value != 0. fill.h says how fills differ.
void from_double(Dtype dtype, double value, void* element);

/// `value` rounded to the dtype and back.
double rounded(Dtype dtype, double value);

/// The largest finite value.
double largest(Dtype dtype);

/// The largest n such that all integers 0 ... n are elements of the dtype: 2^24 for f32, 2048 for
/// f16, 127 for i8. At most 2^53 (i64).
double largest_exact_integer(Dtype dtype);
#endif

}  // namespace assay
