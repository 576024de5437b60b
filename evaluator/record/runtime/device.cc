// The device: its count, properties, attributes and limits, as the target's DeviceInfo has them.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

constexpr int kCudaVersion = 13000;
// Equal on all devices of compute capability 8.0 and later.
constexpr int kConstantBytes = 64 << 10;
constexpr int kMaxPitchBytes = 2147483647;
constexpr int kTextureAlignment = 512;
constexpr int kTexturePitchAlignment = 32;
constexpr int kAsyncEngines = 3;

int whole(uint64_t value) { return static_cast<int>(std::min<uint64_t>(value, 2147483647)); }

/// fp32 operations per fp64 operation.
int double_precision_ratio(const DeviceInfo& info) {
  const bool data_centre = info.compute_minor == 0 && info.compute_major <= 10;
  return data_centre ? 2 : 64;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  if (count == nullptr) return error(cudaErrorInvalidValue);
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  if (device == nullptr) return error(cudaErrorInvalidValue);
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : error(cudaErrorInvalidDevice);
}

cudaError_t cudaInitDevice(int device, unsigned, unsigned) { return cudaSetDevice(device); }
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }

cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  if (flags == nullptr) return error(cudaErrorInvalidValue);
  *flags = 0;
  return cudaSuccess;
}

cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp*) { return cudaGetDevice(device); }

cudaError_t cudaDeviceCanAccessPeer(int* can_access, int, int) {
  if (can_access == nullptr) return error(cudaErrorInvalidValue);
  *can_access = 0;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return error(cudaErrorInvalidValue);
  *version = kCudaVersion;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (properties == nullptr) return error(cudaErrorInvalidValue);
  if (device != 0) return error(cudaErrorInvalidDevice);
  const DeviceInfo& info = state().device();
  cudaDeviceProp& out = *properties;
  std::memset(&out, 0, sizeof out);
  std::snprintf(out.name, sizeof out.name, "%s", info.name.c_str());
  out.totalGlobalMem = info.global_memory_bytes;
  out.sharedMemPerBlock = info.shared_per_block_bytes;
  out.regsPerBlock = whole(info.registers_per_block);
  out.warpSize = whole(info.warp_size);
  out.memPitch = kMaxPitchBytes;
  out.maxThreadsPerBlock = whole(info.max_threads_per_block);
  for (int axis = 0; axis < 3; ++axis) {
    out.maxThreadsDim[axis] = whole(info.max_block[axis]);
    out.maxGridSize[axis] = whole(info.max_grid[axis]);
  }
  out.totalConstMem = kConstantBytes;
  out.major = info.compute_major;
  out.minor = info.compute_minor;
  out.textureAlignment = kTextureAlignment;
  out.texturePitchAlignment = kTexturePitchAlignment;
  out.multiProcessorCount = whole(info.multiprocessors);
  out.concurrentKernels = 1;
  out.ECCEnabled = 1;
  out.asyncEngineCount = kAsyncEngines;
  out.unifiedAddressing = 1;
  out.memoryBusWidth = whole(info.memory_bus_bits);
  out.l2CacheSize = whole(info.l2_bytes);
  out.maxThreadsPerMultiProcessor = whole(info.max_threads_per_multiprocessor);
  out.streamPrioritiesSupported = 1;
  out.globalL1CacheSupported = 1;
  out.localL1CacheSupported = 1;
  out.sharedMemPerMultiprocessor = info.shared_per_multiprocessor_bytes;
  out.regsPerMultiprocessor = whole(info.registers_per_multiprocessor);
  out.computePreemptionSupported = 1;
  out.cooperativeLaunch = 1;
  out.sharedMemPerBlockOptin = info.shared_per_block_optin_bytes;
  out.maxBlocksPerMultiProcessor = whole(info.max_blocks_per_multiprocessor);
  out.reservedSharedMemPerBlock = info.shared_reserved_per_block_bytes;
  out.memoryPoolsSupported = 1;
  out.clusterLaunch = info.compute_major >= 9;
  out.unifiedFunctionPointers = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (value == nullptr) return error(cudaErrorInvalidValue);
  if (device != 0) return error(cudaErrorInvalidDevice);
  const DeviceInfo& info = state().device();
  const auto answer = [value](uint64_t number) {
    *value = whole(number);
    return cudaSuccess;
  };
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return answer(info.max_threads_per_block);
    case cudaDevAttrMaxBlockDimX:
      return answer(info.max_block[0]);
    case cudaDevAttrMaxBlockDimY:
      return answer(info.max_block[1]);
    case cudaDevAttrMaxBlockDimZ:
      return answer(info.max_block[2]);
    case cudaDevAttrMaxGridDimX:
      return answer(info.max_grid[0]);
    case cudaDevAttrMaxGridDimY:
      return answer(info.max_grid[1]);
    case cudaDevAttrMaxGridDimZ:
      return answer(info.max_grid[2]);
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return answer(info.shared_per_block_bytes);
    case cudaDevAttrTotalConstantMemory:
      return answer(kConstantBytes);
    case cudaDevAttrWarpSize:
      return answer(info.warp_size);
    case cudaDevAttrMaxPitch:
      return answer(kMaxPitchBytes);
    case cudaDevAttrMaxRegistersPerBlock:
      return answer(info.registers_per_block);
    case cudaDevAttrClockRate:
      return answer(info.clock_khz);
    case cudaDevAttrTextureAlignment:
      return answer(kTextureAlignment);
    case cudaDevAttrTexturePitchAlignment:
      return answer(kTexturePitchAlignment);
    case cudaDevAttrMultiProcessorCount:
      return answer(info.multiprocessors);
    case cudaDevAttrMemoryClockRate:
      return answer(info.memory_clock_khz);
    case cudaDevAttrGlobalMemoryBusWidth:
      return answer(info.memory_bus_bits);
    case cudaDevAttrL2CacheSize:
      return answer(info.l2_bytes);
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return answer(info.max_threads_per_multiprocessor);
    case cudaDevAttrAsyncEngineCount:
      return answer(kAsyncEngines);
    case cudaDevAttrComputeCapabilityMajor:
      return answer(info.compute_major);
    case cudaDevAttrComputeCapabilityMinor:
      return answer(info.compute_minor);
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return answer(info.shared_per_multiprocessor_bytes);
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return answer(info.registers_per_multiprocessor);
    case cudaDevAttrSingleToDoublePrecisionPerfRatio:
      return answer(double_precision_ratio(info));
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return answer(info.shared_per_block_optin_bytes);
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return answer(info.max_blocks_per_multiprocessor);
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return answer(info.shared_reserved_per_block_bytes);
    case cudaDevAttrClusterLaunch:
      return answer(info.compute_major >= 9);
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrEccEnabled:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrMemSyncDomainCount:
      return answer(1);
    default:
      break;
  }
  // Host access, peers, graphics, textures: what a recorded candidate cannot use.
  if (attribute < cudaDevAttrMaxThreadsPerBlock || attribute >= cudaDevAttrMax)
    return error(cudaErrorInvalidValue);
  return answer(0);
}

// ---- limits and preferences

cudaError_t cudaDeviceSetLimit(cudaLimit limit, size_t) {
  if (limit != cudaLimitStackSize && limit != cudaLimitPrintfFifoSize)
    fail("unsupported_call",
         "cudaDeviceSetLimit: only the stack size and the printf buffer may be set, not limit {}: "
         "the others reach beyond one run of the candidate",
         static_cast<int>(limit));
  return cudaSuccess;
}

cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
  if (value == nullptr) return error(cudaErrorInvalidValue);
  switch (limit) {
    case cudaLimitStackSize:
      *value = 1 << 10;
      return cudaSuccess;
    case cudaLimitPrintfFifoSize:
      *value = 1 << 20;
      return cudaSuccess;
    case cudaLimitMallocHeapSize:
      *value = 8 << 20;
      return cudaSuccess;
    default:
      *value = 0;
      return cudaSuccess;
  }
}

cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) { return cudaSuccess; }

cudaError_t cudaDeviceGetCacheConfig(cudaFuncCache* config) {
  if (config == nullptr) return error(cudaErrorInvalidValue);
  *config = cudaFuncCachePreferNone;
  return cudaSuccess;
}

cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig) { return cudaSuccess; }

cudaError_t cudaDeviceGetSharedMemConfig(cudaSharedMemConfig* config) {
  if (config == nullptr) return error(cudaErrorInvalidValue);
  *config = cudaSharedMemBankSizeFourByte;
  return cudaSuccess;
}

cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }

// ---- memory pools: every allocation is new, so their settings mean nothing here

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  if (pool == nullptr) return error(cudaErrorInvalidValue);
  if (device != 0) return error(cudaErrorInvalidDevice);
  *pool = reinterpret_cast<cudaMemPool_t>(uint64_t{0x7000'0000});
  return cudaSuccess;
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int device) {
  return cudaDeviceGetDefaultMemPool(pool, device);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }

}  // extern "C"

}  // namespace assay::recording
