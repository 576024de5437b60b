// What the coordinator and a runner say to each other: CBOR in frames of a 4-byte length.
//
// A runner executes candidates' device code, so the coordinator reads its replies as untrusted:
// every count and size is bounded, and a reply that breaks the form is an Error.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "evaluator/check/check.h"

namespace assay {

/// Largest frame in bytes: a dump of a case's tensors must fit.
inline constexpr uint32_t kMaxFrameBytes = 1u << 30;

/// Sends one message. io when the other side is gone.
Result<void> send_message(int socket, const nlohmann::json& message);

/// Waits for one message until the deadline. timeout when it passed; io when the other side is
/// gone; invalid when the bytes are not a message.
Result<nlohmann::json> receive_message(int socket, std::chrono::steady_clock::time_point deadline);

/// The parts of an artifact that a device needs.
nlohmann::json artifact_message(const Artifact& artifact);
Result<Artifact> parse_artifact(const nlohmann::json& message);

/// A job without its artifacts, which travel once and are named by their keys.
nlohmann::json job_message(const CheckJob& job);
Result<CheckJob> parse_job(const nlohmann::json& message);

nlohmann::json report_message(const CheckReport& report);
Result<CheckReport> parse_report(const nlohmann::json& message);

}  // namespace assay
