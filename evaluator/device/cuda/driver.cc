#include "evaluator/device/cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

namespace assay::cuda {

namespace {

Result<const Driver*> load() {
  static Driver driver;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Error{ErrorKind::device,
                 "there is no NVIDIA driver on this machine (libcuda.so.1 was not found); use "
                 "--device virtual, or install the driver"};
#define ASSAY_RESOLVE(function)                                                             \
  driver.function = reinterpret_cast<decltype(driver.function)>(dlsym(library, #function)); \
  if (!driver.function)                                                                     \
    return Error{ErrorKind::device, "the NVIDIA driver is too old: it lacks " #function     \
                                    "; assay needs one for CUDA 13 (580 or newer)"};
  ASSAY_DRIVER_FUNCTIONS(ASSAY_RESOLVE)
#undef ASSAY_RESOLVE
  if (const CUresult result = driver.cuInit(0); result != CUDA_SUCCESS)
    return Error{ErrorKind::device, fmt::format("the NVIDIA driver found no usable GPU: {}",
                                                describe(driver, result))};
  return &driver;
}

}  // namespace

Result<const Driver*> load_driver() {
  static const Result<const Driver*> driver = load();
  return driver;
}

std::string describe(const Driver& driver, CUresult result) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (driver.cuGetErrorName(result, &name) != CUDA_SUCCESS || !name)
    return fmt::format("CUDA error {}", static_cast<int>(result));
  driver.cuGetErrorString(result, &text);
  return fmt::format("{}: {}", name, text ? text : "no description");
}

Result<void> expect(const Driver& driver, CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return {};
  return Error{ErrorKind::device, fmt::format("{}: {}", what, describe(driver, result))};
}

}  // namespace assay::cuda
