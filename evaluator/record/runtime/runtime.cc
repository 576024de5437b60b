// Theory of operation
//
// This library takes the place of CUDA's runtime (libcudart.so.13) in a process without a GPU. It
// has the same file name, the same symbols with the same version, and it does no work: it writes
// down what it is asked for and answers as a device of the requested kind would.
//
//   - Memory: cudaMalloc hands out fake addresses (address_space.h) in a range that is never
//     mapped. A pointer can be passed on and computed with; using it on the host faults, and the
//     recorder's signal handler knows by the address that device memory was meant.
//   - Launches, memsets and copies become operations of a LaunchPlan, which is written as JSON at
//     the end. Parameters are kept as raw bytes, fake addresses included: finding them is the job
//     of the recorder outside, which compares two recordings with different addresses and trusts
//     neither.
//   - Order: every operation gets the operations it must wait for. A stream carries a frontier:
//     the set of operations that its next one waits for. Recording an event copies the frontier,
//     waiting for the event merges it; the legacy default stream merges the frontiers of all
//     blocking streams and they merge its own; a wait on the host merges into all streams. There
//     is no clock, and nothing ever has to be waited for.
//   - Queries (properties, attributes, occupancy) are answered from the target's DeviceInfo and
//     the artifact's kernels.
//   - What cannot be part of a plan ends the recording at once with a reason and a sentence
//     (fail()): reads of device memory, graphs, textures, inter-process handles. Ending early keeps
//     the message about the cause, not about what the candidate stumbled over afterwards. Errors
//     that correct code may provoke and handle are returned as CUDA returns them.
//
// The candidate shares the process and can write over all of this. Nothing here is relied upon for
// safety: the files that come out are parsed as hostile input.
#include "evaluator/record/runtime/runtime.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

std::unique_ptr<State> current;

/// Writes a whole file with nothing but system calls.
bool write_whole(const char* path, std::initializer_list<std::string_view> parts) {
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  bool written = true;
  for (std::string_view part : parts) {
    while (!part.empty() && written) {
      const ssize_t count = write(file, part.data(), part.size());
      written = count > 0;
      if (written) part.remove_prefix(static_cast<size_t>(count));
    }
  }
  close(file);
  return written;
}

[[noreturn]] void end(bool written) { _exit(written ? 0 : kUnwritableStatus); }

}  // namespace

State& state() {
  // A launcher loaded by another program than assay-recorder finds an empty device.
  if (!current) current = std::make_unique<State>(Setup{});
  return *current;
}

cudaError_t error(cudaError_t code) {
  if (code != cudaSuccess) state().last_error = code;
  return code;
}

void fail(const char* reason, std::string_view explanation) {
  std::fflush(nullptr);
  assay_recording_fail(reason, explanation.data(), explanation.size());
}

extern "C" {

void assay_recording_begin(const Setup& setup) { current = std::make_unique<State>(setup); }

uint64_t assay_recording_tensor(uint32_t index) { return state().address({index, 0}); }

void* assay_recording_stream() { return state().solve_stream(); }

void assay_recording_finish() {
  std::fflush(nullptr);
  const nlohmann::json plan = state().plan();
  end(write_whole(kPlanFile,
                  {plan.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)}));
}

void assay_recording_fail(const char* reason, const char* explanation, size_t explanation_bytes) {
  end(write_whole(kFailureFile, {reason, "\n", std::string_view(explanation, explanation_bytes)}));
}

}  // extern "C"

}  // namespace assay::recording
