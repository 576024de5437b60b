// What one recording is about: written by record() as request.json, read by assay-recorder.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "evaluator/compile/artifact.h"
#include "evaluator/device/info.h"

namespace assay::recording {

struct Setup {
  uint64_t base = 0;              // secret; of the AddressSpace
  int64_t clock_shift_s = 0;      // added to what solve() sees as the time
  std::vector<uint64_t> tensors;  // bytes, in argument order
  std::vector<std::string> tensor_names;
  std::vector<uint64_t> scalars;  // bits in the low bytes, in argument order
  std::vector<Kernel> kernels;    // without demangled names and spills
  std::vector<ModuleVariable> variables;
  DeviceInfo device;
};

void to_json(nlohmann::json& json, const Setup& setup);
void from_json(const nlohmann::json& json, Setup& setup);

// Files in the recorder's working folder.
inline constexpr const char* kLauncherFile = "launcher.so";
inline constexpr const char* kRequestFile = "request.json";
inline constexpr const char* kPlanFile = "plan.json";   // the plan, with raw addresses inside
inline constexpr const char* kFailureFile = "failure";  // reason, line feed, explanation

/// The recorder's exit status when it could write neither plan nor failure.
inline constexpr int kUnwritableStatus = 3;

}  // namespace assay::recording
