// What a recording leaves in the work folder: of each of the two, "0." or "1." and a name.
#pragma once

#include <fmt/format.h>

#include <string>

namespace assay::triton {

inline constexpr const char* kPlan = "plan.json";
inline constexpr const char* kKernels = "kernels.json";
inline constexpr const char* kModule = "module.ptx";
inline constexpr const char* kFailure = "failure";
inline constexpr const char* kTuners = "tuners.json";

inline constexpr size_t kPtxBytes = size_t{32} << 20;
inline constexpr size_t kOutputBytes = size_t{64} << 10;  // what solve() printed

inline std::string of_recording(int number, const char* name) {
  return fmt::format("{}.{}", number, name);
}

}  // namespace assay::triton
