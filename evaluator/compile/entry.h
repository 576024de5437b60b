// The entry point that assay appends to a candidate's host code.
#pragma once

#include <string>
#include <string_view>

#include "tasks/task.h"

namespace assay {

/// The header that a candidate needs for an element type, for example "cuda_fp16.h"; empty: none.
std::string_view header_of(Dtype dtype);

/// Source of `extern "C" void assay_solve(void** arguments)`, which calls solve with the task's
/// tensors and scalars and a stream: arguments[i] points to the i-th value (a device pointer, a
/// scalar, last the cudaStream_t). C++ checks the candidate's signature: the right number of
/// arguments of convertible types (a missing const is forgiven), else "wrong_signature".
std::string entry_source(const Task& task);

}  // namespace assay
