// An agent: whoever answers prompts. Models behind an API, programs, folders of files and the
// reference kernels are agents; a loop does not know which one it talks to.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/model/failure.h"
#include "agents/model/model.h"
#include "evaluator/language.h"
#include "tasks/task.h"

namespace assay {

struct GenerationRequest {
  const Task* task = nullptr;          // outlives the call's `done`
  Language language = Language::cuda;  // asked for
  int sample = 0;
  int turn = 0;
  std::string system;
  std::vector<Message> messages;
};

/// One attempt at the API, whatever came of it. Failed attempts may be billed too.
struct Attempt {
  long status = 0;
  std::string request_id;
  std::optional<ApiFailure> failure;
  double seconds = 0;
  double waited_seconds = 0;  // before it, for a retry or a place in the queue
  Usage usage;
  std::optional<double> cost_dollars;
};

struct Generation {
  std::optional<ApiFailure> failure;  // set: there is no answer
  Answer answer;
  Usage usage;                         // of the answer; a cached one keeps that of its first time
  std::optional<double> cost_dollars;  // new dollars: 0 for a cached answer
  std::vector<Attempt> attempts;
  bool cached = false;
  std::string request_body;  // the exact bytes sent
  std::string served_model;
  std::string fingerprint;
  std::string response_id;
  double seconds = 0;          // from the call to the answer
  double waiting_seconds = 0;  // of these: for retries and rate limits
};

/// For progress lines.
struct AgentStatus {
  int in_flight = 0;
  int waiting = 0;  // for a retry
  int rate_limits = 0;
  int limit = 0;  // requests at once, as of now; 0: no such limit
  double next_try_seconds = 0;
  std::string trouble;  // why it waits: "429, next try in 12 s"
};

/// Thread-safe.
class Agent {
 public:
  virtual ~Agent() = default;
  /// As stored and shown, for example "openai-chat:gpt-5" or "reference:naive".
  virtual const std::string& name() const = 0;
  /// Everything that shapes its answers, as JSON without secrets: part of a run's identity.
  virtual std::string settings_json() const = 0;
  /// Calls `done` exactly once, on any thread, possibly before this returns.
  virtual void generate(GenerationRequest request, std::function<void(Generation)> done) = 0;
  virtual AgentStatus status() const { return {}; }
  /// What is in flight ends as FailureClass::cancelled soon; later calls as well.
  virtual void cancel() {}
};

}  // namespace assay
