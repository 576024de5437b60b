// The rest of CUDA's runtime: every function that a launcher can be linked against exists, and
// ends the recording with a sentence that says why it cannot be used.
//
// This file must not see CUDA's declarations: the functions are defined without parameters.
#include <cstdio>
#include <string>
#include <string_view>

#include "evaluator/record/runtime/refused_calls.h"
#include "evaluator/record/runtime/runtime.h"

namespace assay::recording {

namespace {

struct Family {
  std::string_view part;  // of the function's name
  std::string_view why;
};

/// The first that fits is taken.
constexpr Family kFamilies[] = {
    {"_pt", "per-thread default streams are not supported; pass streams explicitly"},
    {"MallocManaged", "host code never sees device memory; use cudaMalloc"},
    {"MallocHost", "host code never sees device memory; use ordinary host memory for tables"},
    {"Host", "host memory is not shared with the device and nothing runs on the host later"},
    {"Callback", "nothing of the candidate runs on the host after solve() has returned"},
    {"Capture",
     "assay turns what solve() does into a graph by itself: launch the kernels directly"},
    {"Graphics", "there is no graphics interface"},
    {"Graph", "assay turns what solve() does into a graph by itself: launch the kernels directly"},
    {"Ipc", "there is no other process to share with"},
    {"External", "there is no other process to share with"},
    {"Peer", "there is one device"},
    {"P2P", "there is one device"},
    {"Texture",
     "textures are not supported; read global memory through const __restrict__ pointers"},
    {"Surface", "surfaces are not supported; use global memory"},
    {"Array", "CUDA arrays are not supported; use global memory"},
    {"3D", "three-dimensional copies are not supported; use cudaMemcpy2DAsync or a kernel"},
    {"Library", "device code comes from the candidate's own file only"},
    {"PersistingL2", "what stays in the L2 cache between runs is not the candidate's to decide"},
};

[[noreturn]] void refuse(std::string_view name) {
  std::string_view why = "it cannot be part of a launch plan";
  for (const Family& family : kFamilies)
    if (name.find(family.part) != std::string_view::npos) {
      why = family.why;
      break;
    }
  std::fflush(nullptr);
  const std::string sentence = std::string(name) + ": " + std::string(why);
  assay_recording_fail("unsupported_call", sentence.data(), sentence.size());
}

}  // namespace

#define ASSAY_REFUSE(name) \
  extern "C" [[noreturn]] void name() { refuse(#name); }
ASSAY_REFUSED_CALLS(ASSAY_REFUSE)
#undef ASSAY_REFUSE

}  // namespace assay::recording
