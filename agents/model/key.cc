#include "agents/model/key.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/files.h"

namespace assay {

Result<std::string> find_key(const Protocol& protocol, const ModelConfig& config) {
  const std::string variable =
      config.key_env.empty() ? std::string(protocol.default_key_env()) : config.key_env;
  std::string key;
  if (!config.key_file.empty()) {
    ASSIGN_OR_RETURN(key, read_file(config.key_file, 64 << 10));
  } else if (const char* value = std::getenv(variable.c_str())) {
    key = value;
  }
  const size_t first = key.find_first_not_of(" \t\r\n");
  key = first == std::string::npos ? ""
                                   : key.substr(first, key.find_last_not_of(" \t\r\n") - first + 1);
  if (key.empty() && protocol.needs_key())
    return Error{ErrorKind::usage,
                 fmt::format("the API '{}' needs a key: set the environment variable {}, or name a "
                             "file with key_file=PATH",
                             protocol.name(), variable)};
  if (std::ranges::any_of(key, [](unsigned char c) { return c < 33 || c > 126; }))
    return Error{ErrorKind::usage,
                 fmt::format("the key for the API '{}' holds characters that no key has (white "
                             "space or control characters)",
                             protocol.name())};
  return key;
}

}  // namespace assay
