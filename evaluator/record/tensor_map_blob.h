// The 128 bytes that the recording runtime gives out as a CUtensorMap: a tag and the description,
// packed. The recorder finds them among launch parameters and turns them into plan's TensorMap.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "evaluator/plan/limits.h"
#include "evaluator/plan/plan.h"

namespace assay::recording {

struct TensorMapBlob {
  char tag[8];
  uint64_t address;
  uint32_t dimensions_less_one[5];
  uint32_t box[5];
  uint8_t element_strides[5];
  uint8_t rank;
  uint8_t data_type;
  uint8_t interleave;
  uint8_t swizzle;
  uint8_t l2_promotion;
  uint8_t oob_fill;
  uint8_t unused[5];
  uint64_t strides_bytes[4];
  uint8_t zero[24];
};
static_assert(sizeof(TensorMapBlob) == plan_limits::kTensorMapBytes);

inline constexpr char kTensorMapTag[8] = {'a', 's', 's', 'a', 'y', 'T', 'M', '\x01'};

/// The blob at the start of `bytes`, if one is there.
inline std::optional<TensorMapBlob> tensor_map_blob(std::string_view bytes) {
  TensorMapBlob blob;
  if (bytes.size() < sizeof blob || std::memcmp(bytes.data(), kTensorMapTag, 8) != 0)
    return std::nullopt;
  std::memcpy(&blob, bytes.data(), sizeof blob);
  if (blob.rank < 1 || blob.rank > 5) return std::nullopt;
  return blob;
}

}  // namespace assay::recording
