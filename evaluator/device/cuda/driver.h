// The CUDA driver API, found at run time: assay starts on machines without a GPU.
#pragma once

#include <cuda.h>

#include <string>

#include "base/result.h"

namespace assay::cuda {

// Every function that assay calls, by the versioned symbol that libcuda exports.
#define ASSAY_DRIVER_FUNCTIONS(X)         \
  X(cuInit)                               \
  X(cuDriverGetVersion)                   \
  X(cuGetErrorName)                       \
  X(cuGetErrorString)                     \
  X(cuDeviceGet)                          \
  X(cuDeviceGetCount)                     \
  X(cuDeviceGetName)                      \
  X(cuDeviceGetUuid_v2)                   \
  X(cuDeviceGetAttribute)                 \
  X(cuDeviceTotalMem_v2)                  \
  X(cuCtxCreate_v4)                       \
  X(cuCtxDestroy_v2)                      \
  X(cuCtxSetCurrent)                      \
  X(cuCtxSynchronize)                     \
  X(cuCtxSetLimit)                        \
  X(cuCtxGetLimit)                        \
  X(cuCtxResetPersistingL2Cache)          \
  X(cuMemAlloc_v2)                        \
  X(cuMemFree_v2)                         \
  X(cuMemGetInfo_v2)                      \
  X(cuMemHostAlloc)                       \
  X(cuMemFreeHost)                        \
  X(cuMemcpyHtoD_v2)                      \
  X(cuMemcpyDtoH_v2)                      \
  X(cuMemcpyDtoD_v2)                      \
  X(cuMemcpyDtoDAsync_v2)                 \
  X(cuMemcpy2DAsync_v2)                   \
  X(cuMemsetD8Async)                      \
  X(cuMemsetD2D8Async)                    \
  X(cuMemsetD2D16Async)                   \
  X(cuMemsetD2D32Async)                   \
  X(cuModuleLoadDataEx)                   \
  X(cuModuleUnload)                       \
  X(cuModuleGetFunction)                  \
  X(cuModuleGetGlobal_v2)                 \
  X(cuFuncGetAttribute)                   \
  X(cuFuncGetParamInfo)                   \
  X(cuFuncSetAttribute)                   \
  X(cuLaunchKernelEx)                     \
  X(cuStreamCreate)                       \
  X(cuStreamDestroy_v2)                   \
  X(cuStreamSynchronize)                  \
  X(cuStreamQuery)                        \
  X(cuStreamBeginCapture_v2)              \
  X(cuStreamEndCapture)                   \
  X(cuStreamGetCaptureInfo_v3)            \
  X(cuStreamUpdateCaptureDependencies_v2) \
  X(cuEventCreate)                        \
  X(cuEventDestroy_v2)                    \
  X(cuEventRecord)                        \
  X(cuEventRecordWithFlags)               \
  X(cuEventQuery)                         \
  X(cuEventSynchronize)                   \
  X(cuEventElapsedTime_v2)                \
  X(cuGraphInstantiateWithFlags)          \
  X(cuGraphUpload)                        \
  X(cuGraphLaunch)                        \
  X(cuGraphExecDestroy)                   \
  X(cuGraphDestroy)                       \
  X(cuTensorMapEncodeTiled)

struct Driver {
#define ASSAY_DECLARE(function) decltype(&::function) function = nullptr;
  ASSAY_DRIVER_FUNCTIONS(ASSAY_DECLARE)
#undef ASSAY_DECLARE
};

/// The driver, loaded and initialised once per process. Errors (device) say that there is no GPU
/// driver, that it is too old (naming the function that is missing), or that it found no GPU.
Result<const Driver*> load_driver();

/// "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered".
std::string describe(const Driver& driver, CUresult result);

/// Ok, or an Error (device) that says what was being done.
Result<void> expect(const Driver& driver, CUresult result, const char* what);

}  // namespace assay::cuda
