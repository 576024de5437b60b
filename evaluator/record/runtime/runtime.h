// What assay-recorder calls of the recording runtime, beside CUDA's own functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "evaluator/record/setup.h"

namespace assay::recording {

/// Starts the recording. Must be called before the launcher is loaded.
extern "C" void assay_recording_begin(const Setup& setup);

/// The fake device address of the i-th tensor, and the stream handle for solve().
extern "C" uint64_t assay_recording_tensor(uint32_t index);
extern "C" void* assay_recording_stream();

/// Writes kPlanFile and ends the process.
extern "C" [[noreturn]] void assay_recording_finish();

/// Writes kFailureFile and ends the process. Allocates nothing: signal handlers may call it.
extern "C" [[noreturn]] void assay_recording_fail(const char* reason, const char* explanation,
                                                  size_t explanation_bytes);

}  // namespace assay::recording
