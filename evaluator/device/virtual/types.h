// The types and state spaces that PTX names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace assay::virtual_gpu {

enum class Type : uint8_t {
  none,
  pred,
  b8,
  b16,
  b32,
  b64,
  b128,
  u8,
  u16,
  u32,
  u64,
  s8,
  s16,
  s32,
  s64,
  f16,
  f16x2,
  bf16,
  bf16x2,
  tf32,
  f32,
  f32x2,
  f64,
  e4m3x2,
  e5m2x2,
  u16x2,
  s16x2,
};

/// shared: the block's own; shared_cluster: that of any block of the cluster.
enum class Space : uint8_t { generic, global, constant, parameter, shared, shared_cluster, local };

/// "u32" to Type::u32; none if `text` is no type.
Type type_from(std::string_view text);
/// Bytes of one value; a predicate has none.
uint32_t bytes_of(Type type);
/// Bytes of a lane of the row that holds values of the type.
inline uint32_t width_of(Type type) { return std::max(bytes_of(type), 2u); }
bool is_signed(Type type);
/// b16 to s64: what instructions on bits and integers take.
inline bool is_bits_or_integer(Type type) {
  return type >= Type::b16 && type <= Type::s64 && type != Type::b128;
}
bool is_float(Type type);  // f16 to f64 and the packed floating types

}  // namespace assay::virtual_gpu
