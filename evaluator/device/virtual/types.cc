#include "evaluator/device/virtual/types.h"

#include <array>
#include <utility>

namespace assay::virtual_gpu {

Type type_from(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Type>, 26> kTypes{{
      {"pred", Type::pred},   {"b8", Type::b8},         {"b16", Type::b16},
      {"b32", Type::b32},     {"b64", Type::b64},       {"b128", Type::b128},
      {"u8", Type::u8},       {"u16", Type::u16},       {"u32", Type::u32},
      {"u64", Type::u64},     {"s8", Type::s8},         {"s16", Type::s16},
      {"s32", Type::s32},     {"s64", Type::s64},       {"f16", Type::f16},
      {"f16x2", Type::f16x2}, {"bf16", Type::bf16},     {"bf16x2", Type::bf16x2},
      {"tf32", Type::tf32},   {"f32", Type::f32},       {"f32x2", Type::f32x2},
      {"f64", Type::f64},     {"e4m3x2", Type::e4m3x2}, {"e5m2x2", Type::e5m2x2},
      {"u16x2", Type::u16x2}, {"s16x2", Type::s16x2},
  }};
  if (text.size() < 2 || text.size() > 6) return Type::none;
  for (const auto& [name, type] : kTypes) {
    if (name == text) return type;
  }
  return Type::none;
}

uint32_t bytes_of(Type type) {
  switch (type) {
    case Type::none:
    case Type::pred:
      return 0;
    case Type::b8:
    case Type::u8:
    case Type::s8:
      return 1;
    case Type::b16:
    case Type::u16:
    case Type::s16:
    case Type::f16:
    case Type::bf16:
    case Type::e4m3x2:
    case Type::e5m2x2:
      return 2;
    case Type::b32:
    case Type::u32:
    case Type::s32:
    case Type::f16x2:
    case Type::bf16x2:
    case Type::tf32:
    case Type::f32:
    case Type::u16x2:
    case Type::s16x2:
      return 4;
    case Type::b64:
    case Type::u64:
    case Type::s64:
    case Type::f32x2:
    case Type::f64:
      return 8;
    case Type::b128:
      return 16;
  }
  return 0;
}

bool is_signed(Type type) {
  return type == Type::s8 || type == Type::s16 || type == Type::s32 || type == Type::s64;
}

bool is_float(Type type) {
  switch (type) {
    case Type::f16:
    case Type::f16x2:
    case Type::bf16:
    case Type::bf16x2:
    case Type::tf32:
    case Type::f32:
    case Type::f32x2:
    case Type::f64:
      return true;
    default:
      return false;
  }
}

}  // namespace assay::virtual_gpu
