// Kernels: their registration by nvcc's host code, and their launches.
#include <cstring>

#include "evaluator/plan/limits.h"
#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

Dim3 dimensions(const dim3& value) { return {value.x, value.y, value.z}; }

/// The parameter buffer, put together from pointers to the arguments.
std::string parameters(const Function& function, void** arguments, const char* caller) {
  uint64_t bytes = 0;
  for (const KernelParameter& parameter : function.kernel->parameters)
    bytes = std::max(bytes, uint64_t{parameter.offset} + parameter.bytes);
  if (bytes > plan_limits::kParameterBytes)
    fail("plan_limits", "{}: {} takes {} bytes of parameters, at most {} are allowed", caller,
         function.name, bytes, plan_limits::kParameterBytes);
  std::string buffer(bytes, '\0');
  if (bytes > 0 && arguments == nullptr)
    fail("invalid_argument", "{}: {} takes {} arguments, none were given", caller, function.name,
         function.kernel->parameters.size());
  for (size_t i = 0; i < function.kernel->parameters.size(); ++i) {
    const KernelParameter& parameter = function.kernel->parameters[i];
    if (arguments[i] == nullptr)
      fail("invalid_argument", "{}: argument {} of {} is a null pointer", caller, i, function.name);
    std::memcpy(buffer.data() + parameter.offset, arguments[i], parameter.bytes);
  }
  return buffer;
}

void check_shared(const Function& function, size_t bytes, const char* caller) {
  if (bytes <= function.max_dynamic_shared_bytes) return;
  const uint32_t fixed = function.kernel->static_shared_bytes;
  const uint32_t most = state().device().shared_per_block_optin_bytes;
  if (bytes + fixed > most)
    fail("launch_limits",
         "{}: {} asks for {} bytes of dynamic shared memory beside {} static ones; {} allows {}",
         caller, function.name, bytes, fixed, state().device().name, most);
  fail("launch_limits",
       "{}: {} asks for {} bytes of dynamic shared memory, but it may use {}: call "
       "cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) first",
       caller, function.name, bytes, function.max_dynamic_shared_bytes);
}

/// A launch with everything but attributes.
Launch make_launch(const Function& function, dim3 grid, dim3 block, void** arguments,
                   size_t shared_bytes, const char* caller) {
  check_shared(function, shared_bytes, caller);
  Launch launch;
  launch.kernel = function.name;
  launch.grid = dimensions(grid);
  launch.block = dimensions(block);
  launch.dynamic_shared_bytes = static_cast<uint32_t>(shared_bytes);
  launch.parameters = parameters(function, arguments, caller);
  launch.cluster = function.required_cluster;
  return launch;
}

cudaError_t record_launch(const void* stub, dim3 grid, dim3 block, void** arguments,
                          size_t shared_bytes, cudaStream_t handle, bool cooperative,
                          const char* caller) {
  const Function& function = state().function(stub, caller);
  Stream& stream = state().stream(handle, caller);
  Launch launch = make_launch(function, grid, block, arguments, shared_bytes, caller);
  launch.cooperative = cooperative;
  state().add(stream, std::move(launch));
  return cudaSuccess;
}

void apply(Launch& launch, const cudaLaunchAttribute& attribute) {
  switch (attribute.id) {
    case cudaLaunchAttributeCooperative:
      launch.cooperative = attribute.val.cooperative != 0;
      return;
    case cudaLaunchAttributeClusterDimension:
      launch.cluster = {attribute.val.clusterDim.x, attribute.val.clusterDim.y,
                        attribute.val.clusterDim.z};
      return;
    case cudaLaunchAttributeProgrammaticStreamSerialization:
      launch.programmatic = attribute.val.programmaticStreamSerializationAllowed != 0;
      return;
    // Hints that change no result.
    case cudaLaunchAttributeIgnore:
    case cudaLaunchAttributePriority:
    case cudaLaunchAttributeSynchronizationPolicy:
    case cudaLaunchAttributeClusterSchedulingPolicyPreference:
    case cudaLaunchAttributePreferredClusterDimension:
    case cudaLaunchAttributePreferredSharedMemoryCarveout:
    case cudaLaunchAttributeMemSyncDomain:
    case cudaLaunchAttributeMemSyncDomainMap:
      return;
    case cudaLaunchAttributeAccessPolicyWindow:
      fail("unsupported_call",
           "cudaLaunchKernelEx: access policy windows are not allowed: what stays in the L2 cache "
           "between runs is not the candidate's to decide");
    default:
      fail("unsupported_call", "cudaLaunchKernelEx: launch attribute {} cannot be part of a plan",
           static_cast<int>(attribute.id));
  }
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }

void __cudaRegisterFunction(void**, const char* host_function, char*, const char* device_name, int,
                            uint3*, uint3*, dim3*, dim3*, int*) {
  state().add_function(host_function, device_name);
}

void __cudaRegisterVar(void**, char* host_variable, char*, const char* device_name, int, size_t,
                       int, int) {
  state().add_variable(host_variable, device_name);
}

void __cudaRegisterManagedVar(void**, void**, char*, const char* device_name, int, size_t, int,
                              int) {
  fail("unsupported_call",
       "{} is a __managed__ variable: host code never sees device memory; use __device__",
       device_name);
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes,
                                     CUstream_st* stream) {
  state().configurations.push_back({grid, block, shared_bytes, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes,
                                       void* stream) {
  auto& configurations = state().configurations;
  if (configurations.empty()) return error(cudaErrorMissingConfiguration);
  const CallConfiguration configuration = configurations.back();
  configurations.pop_back();
  *grid = configuration.grid;
  *block = configuration.block;
  *shared_bytes = configuration.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
  Function* function = state().find_function(host_function);
  if (function == nullptr) return error(cudaErrorInvalidDeviceFunction);
  *kernel = reinterpret_cast<cudaKernel_t>(function);
  return cudaSuccess;
}

cudaError_t cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
  return __cudaGetKernel(kernel, host_function);
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t* function, const void* symbol) {
  return __cudaGetKernel(reinterpret_cast<cudaKernel_t*>(function), symbol);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               size_t shared_bytes, cudaStream_t stream) {
  return record_launch(kernel, grid, block, arguments, shared_bytes, stream, false,
                       "kernel<<<...>>>");
}

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             size_t shared_bytes, cudaStream_t stream) {
  return record_launch(function, grid, block, arguments, shared_bytes, stream, false,
                       "cudaLaunchKernel");
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block,
                                        void** arguments, size_t shared_bytes,
                                        cudaStream_t stream) {
  return record_launch(function, grid, block, arguments, shared_bytes, stream, true,
                       "cudaLaunchCooperativeKernel");
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* config, const void* stub,
                                void** arguments) {
  const char* caller = "cudaLaunchKernelEx";
  if (config == nullptr || (config->numAttrs > 0 && config->attrs == nullptr))
    return error(cudaErrorInvalidValue);
  const Function& function = state().function(stub, caller);
  Stream& stream = state().stream(config->stream, caller);
  Launch launch = make_launch(function, config->gridDim, config->blockDim, arguments,
                              config->dynamicSmemBytes, caller);
  for (unsigned i = 0; i < config->numAttrs; ++i) apply(launch, config->attrs[i]);
  state().add(stream, std::move(launch));
  return cudaSuccess;
}

}  // extern "C"

}  // namespace assay::recording
