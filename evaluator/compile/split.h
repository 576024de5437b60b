// Splits a candidate's source into what the device compiler and what the host compiler need.
//
// NVRTC refuses host functions and knows no <<<...>>>; g++ knows neither. An ordinary source is a
// list of declarations of which few concern both, so each half can be had by cutting whole
// declarations out of the text, without understanding what is in them:
//
//   device  kernels, __device__ functions and variables, types, constants; no host functions.
//   host    the same declarations with each kernel's body replaced by one that hands its arguments
//           to the runtime, no __device__ functions, and each `kernel<<<...>>>(...)` written as a
//           call of that body between push and pop of the configuration, as nvcc does it.
//
// Both halves keep every line where it was. The cutting is on tokens before preprocessing; a source
// where that could go wrong is refused (nullopt), and so is one with features that the two
// compilers would treat differently from nvcc. What slips through fails to compile or to match
// (ptx_names.h) and is compiled by nvcc then.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct SplitSource {
  std::string device;
  std::string host;
  std::vector<std::string> includes;  // names between the brackets or quotes, in order
  bool has_kernel_templates = false;
  std::vector<std::string> launched_templates;  // callees with template arguments, as written
};

std::optional<SplitSource> split_source(std::string_view source);

}  // namespace assay
