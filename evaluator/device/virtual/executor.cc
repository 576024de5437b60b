#include <cstdlib>
#include <string_view>

#include "evaluator/device/virtual/codes.h"

namespace assay::virtual_gpu {
namespace {

const Executor& choose() {
  const char* wish = std::getenv("ASSAY_VIRTUAL_EXECUTOR");
  const std::string_view name = wish == nullptr ? "" : wish;
#if defined(ASSAY_X86_EXECUTORS)
  __builtin_cpu_init();
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("bmi");
  if (has_avx512 && name != "avx2" && name != "baseline") return kAvx512Executor;
  if (has_avx2 && name != "baseline") return kAvx2Executor;
#endif
  return kBaselineExecutor;
}

}  // namespace

const Executor& executor() {
  static const Executor& chosen = choose();
  return chosen;
}

}  // namespace assay::virtual_gpu
