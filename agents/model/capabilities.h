// What single models refuse of what their API has. The table is in capabilities.cc.
#pragma once

#include <string>

#include "agents/model/model.h"

namespace assay {

/// Which of the parameters the model is known to refuse, alone or together; empty where nothing is
/// known against them, as with models that the table does not name. Fields of extra_body_json are
/// not looked at: they reach the server whatever the table says.
std::string refused_by_model(const ModelConfig& config);

/// Anthropic's models that think as long as they see fit: an effort goes with
/// `thinking: {"type": "adaptive"}`.
bool thinks_adaptively(const ModelConfig& config);

}  // namespace assay
