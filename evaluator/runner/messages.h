// What the coordinator and a runner say to each other, as JSON values that frame.h carries.
//
//   runner -> client   {info}                          once, when the device is there; or {error}
//   client -> runner   {type: "artifact", key, ...}    answered by {ok} or {error}
//   client -> runner   {type: "check", bound, ...}     answered by {report, healthy} or
//                                                      {error, healthy}
//   client -> runner   {type: "cost", bound, ...}      answered by {cost, healthy}, null where the
//                                                      candidate cannot run, or {error, healthy}
//
// A runner executes candidates' device code, so the coordinator reads its replies as untrusted:
// every count and size is bounded, numbers are finite, texts are made fit to be shown, and a reply
// that breaks the form is an Error. plausible() compares a report with the job that it answers.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/result.h"
#include "evaluator/check/check.h"
#include "evaluator/runner/frame.h"

namespace assay {

/// `text` as it may be shown and stored: UTF-8, at most 1 MiB, no control characters but line ends
/// and tabs (a kernel's printf may send escape sequences to a terminal).
std::string presentable(std::string text);

/// A reply that reports an Error, and the Error of a reply that does.
nlohmann::json error_message(const Error& error);
std::optional<Error> error_in(const nlohmann::json& reply);

/// The parts of an artifact that a device needs.
nlohmann::json artifact_message(const Artifact& artifact);
Result<Artifact> parse_artifact(const nlohmann::json& message);

/// A job without its artifacts, which travel once and are named by their keys.
nlohmann::json job_message(const CheckJob& job);
Result<CheckJob> parse_job(const nlohmann::json& message);

nlohmann::json report_message(const CheckReport& report);
Result<CheckReport> parse_report(const nlohmann::json& message);

/// Whether a report can be the answer to the job: an outcome that check() gives, comparisons of the
/// job's outputs, indices inside them, tensors of the right sizes and only where they were wanted.
Result<void> plausible(const CheckReport& report, const CheckJob& job);

}  // namespace assay
