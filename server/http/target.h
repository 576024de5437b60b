// Paths and queries of request targets (RFC 3986).
#pragma once

#include <string>
#include <string_view>

#include "server/http/http.h"

namespace assay {

/// Percent-decodes; false for a broken escape or a NUL byte.
bool percent_decode(std::string_view text, bool plus_is_space, std::string& decoded);

/// Fills in path and query; false where the target is neither a path nor decodable.
bool parse_target(std::string_view target, ServerRequest& request);

/// {"error": message} as JSON text.
std::string error_body(const std::string& message);

}  // namespace assay
