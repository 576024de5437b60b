// The options of agents that are models behind an API: what is asked of them and how patiently.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>

#include "agents/agents.h"

namespace assay {

/// `options` must outlive the parsing.
void add_model_options(CLI::App& command, AgentOptions& options);

/// The form that a run directory keeps; without secrets, since keys are never arguments.
void add_to_json(const AgentOptions& options, nlohmann::json& json);
/// Throws nlohmann::json::exception where a field is missing or of another type. What came later
/// than the first runs has a default.
AgentOptions agent_options_from(const nlohmann::json& json);

}  // namespace assay
