// One element of an element copy, converted as torch's Tensor.to() does. Compiled for the CPU and
// for GPUs; the bits are the same on both.
//
//   whole numbers to whole numbers   the low bits; to bool: whether it is not 0
//   floating to whole                toward zero; beyond the type's range, where torch leaves it
//                                    open, to the end of the range, and NaN to 0
//   anything to floating             to nearest even; types narrower than f32 by way of f32
#pragma once

#include "evaluator/check/trusted.h"
#include "evaluator/plan/element_grid.h"

namespace assay::trusted {

ASSAY_HOST_DEVICE inline bool is_whole(Dtype dtype) { return dtype >= Dtype::i64; }

ASSAY_HOST_DEVICE inline int64_t load_whole(Dtype dtype, const void* data, uint64_t index) {
  const uint64_t bits = load_bits(dtype, data, index);
  switch (dtype) {
    case Dtype::i32:
      return static_cast<int32_t>(bits);
    case Dtype::i16:
      return static_cast<int16_t>(bits);
    case Dtype::i8:
      return static_cast<int8_t>(bits);
    case Dtype::boolean:
      return bits != 0;
    default:
      return static_cast<int64_t>(bits);
  }
}

ASSAY_HOST_DEVICE inline double toward_zero(double value) {
  const bool has_fraction = value > -4503599627370496.0 && value < 4503599627370496.0;  // 2^52
  return has_fraction ? static_cast<double>(static_cast<int64_t>(value)) : value;
}

ASSAY_HOST_DEVICE inline void convert_element(Dtype to, void* target, uint64_t target_index,
                                              Dtype from, const void* source,
                                              uint64_t source_index) {
  if (from == to)
    return store_bits(to, target, target_index, load_bits(from, source, source_index));
  if (is_whole(from)) {
    const int64_t value = load_whole(from, source, source_index);
    if (is_whole(to))
      store_bits(to, target, target_index,
                 to == Dtype::boolean ? value != 0 : static_cast<uint64_t>(value));
    else
      element::store(to, target, target_index,
                     to == Dtype::f64 ? static_cast<double>(value) : static_cast<float>(value));
    return;
  }
  double value = element::load(from, source, source_index);
  if (is_whole(to) && to != Dtype::boolean)
    value = toward_zero(value);
  else if (to != Dtype::f64 && to != Dtype::boolean)
    value = static_cast<float>(value);
  element::store(to, target, target_index, value);
}

/// Element number `number` of `grid`, counted with the last axis the fastest.
ASSAY_HOST_DEVICE inline void copy_element(const ElementGrid& grid, void* target,
                                           const void* source, uint64_t number) {
  uint64_t target_index = 0, source_index = 0;
  for (uint32_t axis = grid.rank; axis-- > 0;) {
    const uint64_t index = number % grid.shape[axis];
    number /= grid.shape[axis];
    target_index += index * grid.target_strides[axis];
    source_index += index * grid.source_strides[axis];
  }
  convert_element(grid.target_dtype, target, target_index, grid.source_dtype, source, source_index);
}

}  // namespace assay::trusted
