// What the end of a recording's process means, in words for the candidate's author.
#pragma once

#include <string>
#include <string_view>

#include "evaluator/record/recorder.h"
#include "sandbox/sandbox.h"

namespace assay::recording {

RecordFailure failure(std::string reason, std::string explanation,
                      RecordFailure::Kind kind = RecordFailure::Kind::record_error);

/// Why a recorder ended without leaving a plan or a failure.
RecordFailure explain_end(const sandbox::Outcome& outcome, const sandbox::Limits& limits);

/// The candidate's words, safe for terminals and JSON, of bounded length.
std::string printable(std::string_view text, size_t most_bytes);

}  // namespace assay::recording
