// API keys: from an environment variable or a file, never logged, never stored.
#pragma once

#include <string>

#include "agents/model/protocol.h"

namespace assay {

/// The key of this configuration, without the white space around it; empty where the API needs
/// none and none is set. usage: says which variable to set. Keys with control characters are
/// refused, since they would end up as header lines.
Result<std::string> find_key(const Protocol& protocol, const ModelConfig& config);

}  // namespace assay
