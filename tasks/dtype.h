// The element types of tensors and scalars.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assay {

/// tf32 is stored as f32 with the low 13 mantissa bits zero. boolean is one byte, 0 or 1.
enum class Dtype : uint8_t {
  f64, f32, tf32, f16, bf16, e4m3, e5m2, i64, i32, i16, i8, u32, u8, boolean,
};
inline constexpr int kDtypeCount = 14;

size_t size_bytes(Dtype dtype);
/// "f32", "bf16", "bool", ... as task files spell it.
std::string_view name(Dtype dtype);
std::optional<Dtype> dtype_from_name(std::string_view name);
bool is_floating(Dtype dtype);
/// The C++ type a candidate sees behind the pointer: "float", "__half", "long long", ...
std::string_view cuda_type(Dtype dtype);

}  // namespace assay
