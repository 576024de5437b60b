// Agents by the names that users give them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agents/agent.h"
#include "agents/http/http.h"
#include "agents/model/model.h"
#include "agents/model/retry.h"
#include "base/result.h"

namespace assay {

struct AgentOptions {
  Sampling sampling;  // of models
  bool stream = true;
  int samples_per_request = 1;
  std::string base_url;  // of models, where a specification names none
  std::string extra_body_json;
  std::filesystem::path prices;  // empty: none
  bool use_cache = true;
  std::filesystem::path cache;  // empty: cache_folder()/responses
  RetryPolicy retry;            // of models
  HttpLimits limits;            // of one attempt at a model
  int most_connections = 200;   // to one model
  int command_jobs = 4;
  double command_deadline_seconds = 1800;
  std::function<void(const std::string&)> log;  // ClientOptions::log of models
};

/// A specification is one of
///   reference:naive  reference:expert  file:DIR  cmd:COMMAND  cmd-json:COMMAND
///   API:MODEL[,base_url=URL][,key_env=NAME][,key_file=PATH]
/// with API a name of protocols(). usage: names the nearest kinds, or what is missing.
Result<std::unique_ptr<Agent>> make_agent(const std::string& specification,
                                          const AgentOptions& options);

/// One line a kind, for --help.
std::string agent_kinds();

}  // namespace assay
