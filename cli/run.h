// The arguments of assay run, which a run directory keeps so that others can go on with it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "agents/agents.h"
#include "base/result.h"
#include "cli/sandbox_option.h"
#include "evaluator/language.h"

namespace assay {

struct RunArguments {
  std::string suite;
  std::vector<std::string> tasks;  // ids; empty: all of the suite
  std::vector<std::string> agents;
  Language language = Language::cuda;
  std::string loop = "single";
  int samples = 1;
  int turns = 0;  // 0: the loop's own
  bool stop_when_correct = false;
  std::string device = "virtual";
  std::string timing;  // empty: the default for the device
  std::string arch = "sm_90";
  std::string out;
  int jobs = 0;  // evaluations at once; 0: one a core
  int repeats = 2;
  double deadline_seconds = 60;
  std::string prompts;
  std::string budget;
  std::string task_budget;
  std::string require_sandbox = kUsualSandbox;  // of this start: not kept
  AgentOptions agent;
};

/// Without secrets: keys are never arguments.
nlohmann::json to_json(const RunArguments& arguments);
Result<RunArguments> run_arguments(const std::string& json_text);

/// Runs what the directory lacks and prints the table. The exit status.
Result<int> run_agents(const RunArguments& arguments);

}  // namespace assay
