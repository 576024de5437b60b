// Tensor maps for the bulk copy engine. The driver's encoder is stood in for by one that writes a
// tagged description; the device that replays the plan encodes it with its own addresses.
#include <cstring>
#include <iterator>

#include "evaluator/record/runtime/state.h"
#include "evaluator/record/tensor_map_blob.h"

namespace assay::recording {

namespace {

// CUresult values.
constexpr int kSuccess = 0;
constexpr int kInvalidValue = 1;
constexpr int kNotSupported = 801;

// Bytes of the elements of CUtensorMapDataType, in order; the packed sub-byte types come after.
constexpr uint32_t kElementBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
// Bytes of CUtensorMapSwizzle's spans, in order.
constexpr uint32_t kSwizzleBytes[] = {0, 32, 64, 128, 128, 128, 128};

/// The arguments of cuTensorMapEncodeTiled.
struct Description {
  uint32_t data_type;
  uint32_t rank;
  uint64_t address;
  const uint64_t* dimensions;
  const uint64_t* strides_bytes;
  const uint32_t* box;
  const uint32_t* element_strides;
  uint32_t interleave, swizzle, l2_promotion, oob_fill;
};

/// The requirements in the driver's documentation of cuTensorMapEncodeTiled.
bool valid(const Description& map) {
  if (map.rank < 1 || map.rank > 5 || map.dimensions == nullptr || map.box == nullptr ||
      map.element_strides == nullptr || (map.rank > 1 && map.strides_bytes == nullptr))
    return false;
  if (map.interleave > 2 || map.swizzle >= std::size(kSwizzleBytes) || map.l2_promotion > 3 ||
      map.oob_fill > 1 || (map.interleave != 0 && map.rank < 3))
    return false;
  const uint64_t alignment = map.interleave == 2 ? 32 : 16;
  if (map.address % alignment != 0) return false;
  for (uint32_t i = 0; i < map.rank; ++i) {
    if (map.dimensions[i] == 0 || map.dimensions[i] > uint64_t{1} << 32) return false;
    if (map.box[i] == 0 || map.box[i] > 256) return false;
    if (map.element_strides[i] == 0 || map.element_strides[i] > 8) return false;
  }
  for (uint32_t i = 0; i + 1 < map.rank; ++i)
    if (map.strides_bytes[i] % alignment != 0 || map.strides_bytes[i] >= uint64_t{1} << 40)
      return false;
  const uint64_t inner_bytes = uint64_t{map.box[0]} * kElementBytes[map.data_type];
  if (map.interleave == 0 && inner_bytes % 16 != 0) return false;
  if (map.interleave == 0 && map.swizzle != 0 && inner_bytes > kSwizzleBytes[map.swizzle])
    return false;
  return map.interleave != 2 || map.swizzle == 1;
}

TensorMapBlob pack(const Description& map) {
  TensorMapBlob blob{};
  std::memcpy(blob.tag, kTensorMapTag, sizeof blob.tag);
  blob.address = map.address;
  for (uint32_t i = 0; i < map.rank; ++i) {
    blob.dimensions_less_one[i] = static_cast<uint32_t>(map.dimensions[i] - 1);
    blob.box[i] = map.box[i];
    blob.element_strides[i] = static_cast<uint8_t>(map.element_strides[i]);
    if (i + 1 < map.rank) blob.strides_bytes[i] = map.strides_bytes[i];
  }
  blob.rank = static_cast<uint8_t>(map.rank);
  blob.data_type = static_cast<uint8_t>(map.data_type);
  blob.interleave = static_cast<uint8_t>(map.interleave);
  blob.swizzle = static_cast<uint8_t>(map.swizzle);
  blob.l2_promotion = static_cast<uint8_t>(map.l2_promotion);
  blob.oob_fill = static_cast<uint8_t>(map.oob_fill);
  return blob;
}

int encode_tiled(void* result, uint32_t data_type, uint32_t rank, void* address,
                 const uint64_t* dimensions, const uint64_t* strides_bytes, const uint32_t* box,
                 const uint32_t* element_strides, uint32_t interleave, uint32_t swizzle,
                 uint32_t l2_promotion, uint32_t oob_fill) {
  if (state().device().compute_major < 9) return kNotSupported;
  if (data_type >= std::size(kElementBytes))
    fail("unsupported_call", "cuTensorMapEncodeTiled: packed element type {} is not supported",
         data_type);
  const Description map{data_type,       rank,          reinterpret_cast<uint64_t>(address),
                        dimensions,      strides_bytes, box,
                        element_strides, interleave,    swizzle,
                        l2_promotion,    oob_fill};
  if (result == nullptr || !valid(map)) return kInvalidValue;
  state().locate(address, 1, "cuTensorMapEncodeTiled");
  const TensorMapBlob blob = pack(map);
  std::memcpy(result, &blob, sizeof blob);
  return kSuccess;
}

/// What both functions that ask for a driver's function do.
cudaError_t find_driver_function(const char* symbol, void** function,
                                 cudaDriverEntryPointQueryResult* result) {
  if (symbol == nullptr || function == nullptr) return error(cudaErrorInvalidValue);
  if (std::strcmp(symbol, "cuTensorMapEncodeTiled") != 0)
    fail("unsupported_call",
         "cudaGetDriverEntryPoint(\"{:.80}\"): of the driver's functions only "
         "cuTensorMapEncodeTiled can be used",
         symbol);
  *function = reinterpret_cast<void*>(&encode_tiled);
  if (result != nullptr) *result = cudaDriverEntryPointSuccess;
  return cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** function, unsigned long long,
                                    cudaDriverEntryPointQueryResult* result) {
  return find_driver_function(symbol, function, result);
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
  return find_driver_function(symbol, function, result);
}

}  // extern "C"

}  // namespace assay::recording
