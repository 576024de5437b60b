// Attributes and occupancy of kernels, answered from the artifact and the target's DeviceInfo.
#include <algorithm>
#include <cstring>

#include "evaluator/device/occupancy.h"
#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

int most_threads(const Kernel& kernel) {
  const uint32_t most = max_threads(state().device(), kernel.registers);
  return static_cast<int>(kernel.max_threads == 0 ? most : std::min(most, kernel.max_threads));
}

uint32_t blocks_per_multiprocessor(const Function& function, int threads, size_t dynamic_bytes) {
  if (threads <= 0 || threads > most_threads(*function.kernel) ||
      dynamic_bytes > function.max_dynamic_shared_bytes)
    return 0;
  return resident_blocks(state().device(),
                         {static_cast<uint32_t>(threads), function.kernel->registers,
                          function.kernel->static_shared_bytes + dynamic_bytes});
}

uint32_t cluster_blocks(const cudaLaunchConfig_t& config) {
  for (unsigned i = 0; i < config.numAttrs; ++i)
    if (config.attrs[i].id == cudaLaunchAttributeClusterDimension) {
      const auto& cluster = config.attrs[i].val.clusterDim;
      return cluster.x * cluster.y * cluster.z;
    }
  return 1;
}

}  // namespace

extern "C" {

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* stub) {
  if (attributes == nullptr) return error(cudaErrorInvalidValue);
  const Function& function = state().function(stub, "cudaFuncGetAttributes");
  const Kernel& kernel = *function.kernel;
  const int capability = state().device().compute_major * 10 + state().device().compute_minor;
  std::memset(attributes, 0, sizeof *attributes);
  attributes->sharedSizeBytes = kernel.static_shared_bytes;
  attributes->localSizeBytes = kernel.stack_bytes;
  attributes->maxThreadsPerBlock = most_threads(kernel);
  attributes->numRegs = static_cast<int>(kernel.registers);
  attributes->ptxVersion = capability;
  attributes->binaryVersion = capability;
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(function.max_dynamic_shared_bytes);
  attributes->preferredShmemCarveout = function.carveout;
  attributes->requiredClusterWidth = static_cast<int>(function.required_cluster.x);
  attributes->requiredClusterHeight = static_cast<int>(function.required_cluster.y);
  attributes->requiredClusterDepth = static_cast<int>(function.required_cluster.z);
  attributes->nonPortableClusterSizeAllowed = function.non_portable_cluster;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* stub, cudaFuncAttribute attribute, int value) {
  Function& function = state().function(stub, "cudaFuncSetAttribute");
  if (value < 0 && attribute != cudaFuncAttributePreferredSharedMemoryCarveout)
    return error(cudaErrorInvalidValue);
  const auto number = static_cast<uint32_t>(value);
  switch (attribute) {
    case cudaFuncAttributeMaxDynamicSharedMemorySize:
      if (uint64_t{number} + function.kernel->static_shared_bytes >
          state().device().shared_per_block_optin_bytes)
        return error(cudaErrorInvalidValue);
      function.max_dynamic_shared_bytes = number;
      return cudaSuccess;
    case cudaFuncAttributePreferredSharedMemoryCarveout:
      if (value < -1 || value > 100) return error(cudaErrorInvalidValue);
      function.carveout = value;
      return cudaSuccess;
    case cudaFuncAttributeRequiredClusterWidth:
      function.required_cluster.x = number;
      break;
    case cudaFuncAttributeRequiredClusterHeight:
      function.required_cluster.y = number;
      break;
    case cudaFuncAttributeRequiredClusterDepth:
      function.required_cluster.z = number;
      break;
    case cudaFuncAttributeNonPortableClusterSizeAllowed:
      function.non_portable_cluster = value != 0;
      return cudaSuccess;
    case cudaFuncAttributeClusterSchedulingPolicyPreference:
      return cudaSuccess;
    default:
      return error(cudaErrorInvalidValue);
  }
  // The axes that were not named are one block wide.
  Dim3& cluster = function.required_cluster;
  for (uint32_t* axis : {&cluster.x, &cluster.y, &cluster.z}) *axis = std::max(*axis, 1u);
  return cudaSuccess;
}

cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t kernel, cudaFuncAttribute attribute,
                                            int value, int device) {
  if (device != 0) return error(cudaErrorInvalidDevice);
  return cudaFuncSetAttribute(kernel, attribute, value);
}

// Both are hints.
cudaError_t cudaFuncSetCacheConfig(const void*, cudaFuncCache) { return cudaSuccess; }
cudaError_t cudaFuncSetSharedMemConfig(const void*, cudaSharedMemConfig) { return cudaSuccess; }

cudaError_t cudaFuncGetName(const char** name, const void* stub) {
  if (name == nullptr) return error(cudaErrorInvalidValue);
  *name = state().function(stub, "cudaFuncGetName").name.c_str();
  return cudaSuccess;
}

cudaError_t cudaFuncGetParamInfo(const void* stub, size_t index, size_t* offset, size_t* bytes) {
  const auto& parameters = state().function(stub, "cudaFuncGetParamInfo").kernel->parameters;
  if (index >= parameters.size() || offset == nullptr) return error(cudaErrorInvalidValue);
  *offset = parameters[index].offset;
  if (bytes != nullptr) *bytes = parameters[index].bytes;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* stub,
                                                                   int threads,
                                                                   size_t dynamic_bytes, unsigned) {
  if (blocks == nullptr || threads <= 0) return error(cudaErrorInvalidValue);
  const Function& function =
      state().function(stub, "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  *blocks = static_cast<int>(blocks_per_multiprocessor(function, threads, dynamic_bytes));
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* stub,
                                                          int threads, size_t dynamic_bytes) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, stub, threads,
                                                                dynamic_bytes, 0);
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, const void* stub, int blocks,
                                                      int threads) {
  if (bytes == nullptr || blocks <= 0 || threads <= 0) return error(cudaErrorInvalidValue);
  const Function& function = state().function(stub, "cudaOccupancyAvailableDynamicSMemPerBlock");
  *bytes = available_dynamic_shared(state().device(), function.kernel->static_shared_bytes,
                                    static_cast<uint32_t>(blocks));
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int* size, const void* stub,
                                                 const cudaLaunchConfig_t* config) {
  if (size == nullptr || config == nullptr) return error(cudaErrorInvalidValue);
  state().function(stub, "cudaOccupancyMaxPotentialClusterSize");
  *size = static_cast<int>(state().device().max_cluster_blocks);
  return cudaSuccess;
}

/// Counts as if clusters could take any multiprocessors; hardware fits clusters into groups of
/// multiprocessors and may hold fewer.
cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* stub,
                                           const cudaLaunchConfig_t* config) {
  if (clusters == nullptr || config == nullptr) return error(cudaErrorInvalidValue);
  const Function& function = state().function(stub, "cudaOccupancyMaxActiveClusters");
  const uint32_t size = cluster_blocks(*config);
  if (size == 0 || size > state().device().max_cluster_blocks)
    return error(cudaErrorInvalidClusterSize);
  const dim3 block = config->blockDim;
  const uint32_t blocks = blocks_per_multiprocessor(
      function, static_cast<int>(block.x * block.y * block.z), config->dynamicSmemBytes);
  *clusters = static_cast<int>(blocks * (state().device().multiprocessors / size));
  return cudaSuccess;
}

}  // extern "C"

}  // namespace assay::recording
