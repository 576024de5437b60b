// What the search for a driver says where there is none that will do. Each in a process of its own:
// a driver is looked for once.
#include "evaluator/device/cuda/driver.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/cuda/bench.h"

namespace assay {
namespace {

[[noreturn]] void tell() {
  const auto driver = cuda::load_driver();
  std::fputs(driver.ok() ? "it loaded" : driver.error().message.c_str(), stderr);
  std::_Exit(driver.ok() ? 1 : 0);
}

TEST(DriverTest, NamesWhatAnOldDriverLacks) {
  EXPECT_EXIT(
      {
        dlopen(ASSAY_OLD_DRIVER, RTLD_NOW | RTLD_LOCAL);
        tell();
      },
      ::testing::ExitedWithCode(0), "too old: it lacks cuDriverGetVersion.*580 or newer");
}

TEST(DriverTest, SaysWhenThereIsNoGpu) {
  EXPECT_EXIT(
      {
        std::strcpy(cuda_bench::control().function, "cuInit");
        cuda_bench::control().failing = 1;
        cuda_bench::control().result = CUDA_ERROR_NO_DEVICE;
        tell();
      },
      ::testing::ExitedWithCode(0), "no usable GPU: CUDA_ERROR_NO_DEVICE");
}

TEST(DriverTest, SaysWhenThereIsNoDriver) {
  if (void* library = dlopen("libcuda.so.1", RTLD_LAZY)) {
    dlclose(library);
    GTEST_SKIP() << "this machine has a driver";
  }
  EXPECT_EXIT(tell(), ::testing::ExitedWithCode(0), "no NVIDIA driver.*--device virtual");
}

}  // namespace
}  // namespace assay
