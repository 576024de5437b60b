// A run: agents, tasks and a loop, to a filled store. coordinator.cc opens with the theory of
// operation.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agents/agent.h"
#include "agents/loop/loop.h"
#include "agents/run/budget.h"
#include "agents/run/judge.h"
#include "evaluator/language.h"
#include "reports/run_store.h"

namespace assay {

struct RunStatus {
  int done = 0;  // samples, also those of earlier starts
  int failed = 0;
  int total = 0;
  int generating = 0;
  int judging = 0;
  std::map<std::string, int> verdicts;  // of samples
  int64_t tokens = 0;                   // of this start, like the fields below
  double dollars = 0;
  bool dollars_known = true;
  int rate_limits = 0;
  double device_busy = 0;  // fraction of the evaluators' time
  double elapsed_seconds = 0;
  double eta_seconds = -1;  // -1: unknown
  std::string trouble;      // why agents wait
};

struct RunSummary {
  RunStatus status;
  std::vector<std::string> stopped;  // reasons why samples are left, for people
  bool interrupted = false;
  bool abandoned = false;  // evaluations still run in threads: end the process without unwinding
};

/// One agent's part of a run.
struct RunPart {
  Agent* agent = nullptr;
  RunRow row;
};

struct RunPlan {
  std::vector<const Task*> tasks;
  std::vector<RunPart> parts;
  const Loop* loop = nullptr;
  const PromptBook* prompts = nullptr;
  DeviceInfo device;
  Language language = Language::cuda;  // of the candidates that are asked for
  int samples = 1;                     // of each task and agent
  int judges = 1;                      // evaluations at once
  int generations = 200;               // requests to agents at once, all agents together
  int waiting_judgements = 64;         // above it, no new requests
  int turns = 1;                       // a sample's, for the feedback's count of what is left
  Budget budget;                       // of each part
  Budget task_budget;                  // of all samples of a task, in each part
  double grace_seconds = 8;            // after an interruption, for what is being evaluated
  const std::atomic<int>* interrupts = nullptr;
  std::function<void(const RunStatus&)> on_progress;  // about five times a second
};

/// Fills in what the store lacks. An Error is the store's; what was finished before is in it.
class Coordinator {
 public:
  Coordinator(RunPlan plan, RunStore& store, Judge& judge);
  ~Coordinator();
  Result<RunSummary> run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay
