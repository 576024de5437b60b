// What a failed request means: whose fault, whether to try again, and when.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "agents/http/http.h"

namespace assay {

enum class FailureClass {
  retry,        // infrastructure: try again
  rate_limit,   // try again, and send less
  ambiguous,    // try again a few times, then give the sample up as ambiguous
  fail_sample,  // this request will never work; others may
  fatal_run,    // no request to this model will work
  cancelled,    // by us
};
const char* name(FailureClass failure);

struct ApiFailure {
  FailureClass failure = FailureClass::ambiguous;
  long status = 0;                         // HTTP; 0: none arrived, or an error inside a stream
  std::string code;                        // the body's own word, for example "insufficient_quota"
  std::string message;                     // for people, cut at 500 bytes
  std::optional<double> wait_seconds;      // what the server asks for, for this request
  std::optional<double> cooldown_seconds;  // largest reset header, for the concurrency limit
};

/// What an answer that is no success means. `now` is seconds since 1970, for dates in headers.
/// The order: fatal codes of the body, x-should-retry, the status, the transport.
ApiFailure classify_response(const HttpResponse& response, double now);

/// An error object inside an HTTP 200 stream or body. `body` may be {"error": {...}}, {"error":
/// "..."}, the error object itself, or SGLang's flat one.
ApiFailure classify_error_body(const nlohmann::json& body);

/// A whole answer without its end, or one that cannot be read.
ApiFailure truncated(const std::string& what);

/// "30", "1.5", "1m30s", "500ms", "6m0s", RFC 3339 or an HTTP date, as seconds from `now`. Absent
/// for anything else; never negative.
std::optional<double> parse_wait(const std::string& text, double now);

}  // namespace assay
