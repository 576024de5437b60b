// ElementGrid: which elements an element copy reads and writes, and as what. Read by host and GPU.
#pragma once

#include "tasks/dtype.h"

namespace assay {

/// All indices below `shape`; a view's element of an index lies sum(index * stride) elements after
/// the view's first one.
struct ElementGrid {
  static constexpr uint32_t kMaxRank = 8;
  Dtype target_dtype = Dtype::f32;
  Dtype source_dtype = Dtype::f32;
  uint32_t rank = 0;
  uint64_t shape[kMaxRank] = {};
  uint64_t target_strides[kMaxRank] = {};
  uint64_t source_strides[kMaxRank] = {};  // 0 reads the same elements again
  bool operator==(const ElementGrid&) const = default;

  ASSAY_HOST_DEVICE uint64_t count() const {
    uint64_t elements = 1;
    for (uint32_t axis = 0; axis < rank; ++axis) elements *= shape[axis];
    return elements;
  }
};

/// The same elements in the same order. An axis that goes on where the next one ends, in both
/// views, becomes one with it: every axis costs a division for each element.
inline ElementGrid with_fewest_axes(const ElementGrid& grid) {
  ElementGrid fewest{grid.target_dtype, grid.source_dtype};
  for (uint32_t axis = 0; axis < grid.rank; ++axis) {
    const uint64_t size = grid.shape[axis];
    if (size == 1) continue;
    const uint32_t last = fewest.rank - 1;
    const bool goes_on = fewest.rank > 0 &&
                         fewest.target_strides[last] == size * grid.target_strides[axis] &&
                         fewest.source_strides[last] == size * grid.source_strides[axis];
    const uint32_t place = goes_on ? last : fewest.rank++;
    fewest.shape[place] = goes_on ? fewest.shape[place] * size : size;
    fewest.target_strides[place] = grid.target_strides[axis];
    fewest.source_strides[place] = grid.source_strides[axis];
  }
  return fewest;
}

}  // namespace assay
