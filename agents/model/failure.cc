#include "agents/model/failure.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "agents/http/json.h"

namespace assay {

namespace {

template <size_t N>
bool one_of(const std::string& word, const std::array<const char*, N>& words) {
  return std::ranges::any_of(words, [&](const char* known) { return word == known; });
}

/// Codes after which no further request to this model makes sense.
bool is_fatal_code(const std::string& code) {
  static constexpr std::array codes = {
      "insufficient_quota", "credit_balance_exhausted",   "enforced_spend_limit_reached",
      "billing_error",      "billing_hard_limit_reached", "authentication_error",
      "invalid_api_key",    "permission_error",           "model_not_found",
      "UNAUTHENTICATED",    "PERMISSION_DENIED"};
  return one_of(code, codes);
}

bool is_rate_limit_code(const std::string& code) {
  static constexpr std::array codes = {"rate_limit_exceeded", "slow_down", "rate_limit_error",
                                       "RESOURCE_EXHAUSTED", "429"};
  return one_of(code, codes);
}

bool is_retry_code(const std::string& code) {
  static constexpr std::array codes = {"overloaded_error",
                                       "api_error",
                                       "server_error",
                                       "internal_error",
                                       "timeout_error",
                                       "INTERNAL",
                                       "UNAVAILABLE",
                                       "DEADLINE_EXCEEDED",
                                       "unavailable_error",
                                       "500",
                                       "502",
                                       "503",
                                       "504",
                                       "529"};
  return one_of(code, codes);
}

bool is_sample_code(const std::string& code) {
  static constexpr std::array codes = {"invalid_request_error",
                                       "request_too_large",
                                       "context_length_exceeded",
                                       "invalid_prompt",
                                       "content_filter",
                                       "content_policy_violation",
                                       "INVALID_ARGUMENT",
                                       "FAILED_PRECONDITION",
                                       "BadRequestError",
                                       "400",
                                       "413",
                                       "422"};
  return one_of(code, codes);
}

std::string word_at(const nlohmann::json& json, std::string_view key) {
  const nlohmann::json* at = json_at(json, {key});
  if (!at) return {};
  if (at->is_string()) return at->get<std::string>();
  if (at->is_number_integer()) return std::to_string(at->get<int64_t>());
  return {};
}

/// What an error body says, whatever its form.
struct ErrorBody {
  std::vector<std::string> codes;  // most specific first
  std::string message;
  std::optional<double> retry_delay;  // Gemini's RetryInfo
  bool per_day_quota = false;         // Gemini's QuotaFailure
};

ErrorBody read_error(const nlohmann::json& body) {
  ErrorBody error;
  const nlohmann::json* object = json_at(body, {"error"});
  if (object && object->is_string()) {
    error.message = object->get<std::string>();
    return error;
  }
  if (!object || !object->is_object()) object = &body;
  for (const char* key : {"code", "type", "status"})
    if (std::string word = word_at(*object, key); !word.empty())
      error.codes.push_back(std::move(word));
  if (const std::string word = string_at(*object, {"details", "error_code"}); !word.empty())
    error.codes.insert(error.codes.begin(), word);
  error.message = string_at(*object, {"message"});
  for (const nlohmann::json& detail : array_at(*object, {"details"})) {
    const std::string delay = string_at(detail, {"retryDelay"});
    if (!delay.empty()) error.retry_delay = parse_wait(delay, 0);
    for (const nlohmann::json& violation : array_at(detail, {"violations"}))
      if (string_at(violation, {"quotaId"}).find("PerDay") != std::string::npos)
        error.per_day_quota = true;
  }
  return error;
}

std::optional<FailureClass> class_of_code(const ErrorBody& error) {
  if (error.per_day_quota) return FailureClass::fatal_run;
  const auto any = [&](bool (*matches)(const std::string&)) {
    return std::ranges::any_of(error.codes, matches);
  };
  if (any(is_fatal_code)) return FailureClass::fatal_run;
  if (any(is_rate_limit_code)) return FailureClass::rate_limit;
  if (any(is_retry_code)) return FailureClass::retry;
  if (any(is_sample_code)) return FailureClass::fail_sample;
  return std::nullopt;
}

FailureClass class_of_status(long status) {
  switch (status) {
    case 401:
    case 402:
    case 403:
    case 404:
      return FailureClass::fatal_run;
    case 429:
      return FailureClass::rate_limit;
    case 400:
    case 413:
    case 422:
      return FailureClass::fail_sample;
    case 408:
    case 409:
    case 500:
    case 502:
    case 503:
    case 504:
    case 529:
      return FailureClass::retry;
    default:
      return status >= 300 && status < 400 ? FailureClass::fatal_run : FailureClass::ambiguous;
  }
}

std::string header(const HttpResponse& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

void read_waits(const HttpResponse& response, double now, ApiFailure& failure) {
  if (const std::string text = header(response, "retry-after-ms"); !text.empty())
    if (const auto wait = parse_wait(text, now)) failure.wait_seconds = *wait / 1000;
  if (!failure.wait_seconds)
    failure.wait_seconds = parse_wait(header(response, "retry-after"), now);
  for (const auto& [key, value] : response.headers) {
    const bool reset = (key.starts_with("x-ratelimit-reset") ||
                        (key.starts_with("anthropic-ratelimit-") && key.ends_with("-reset")));
    const auto wait = reset ? parse_wait(value, now) : std::nullopt;
    if (wait) failure.cooldown_seconds = std::max(failure.cooldown_seconds.value_or(0), *wait);
  }
}

std::string cut(std::string text) {
  if (text.size() > 500) text = text.substr(0, 500) + "...";
  return text;
}

ApiFailure transport_failure(const HttpResponse& response) {
  ApiFailure failure;
  failure.status = response.status;
  failure.code = name(response.fault);
  failure.message = response.fault_message;
  switch (response.fault) {
    case TransportFault::cancelled:
      failure.failure = FailureClass::cancelled;
      break;
    case TransportFault::tls:
      failure.message +=
          "; where the server's certificate is from an authority of your own, name its file in "
          "SSL_CERT_FILE";
      failure.failure = FailureClass::fatal_run;
      break;
    case TransportFault::bad_url:
      failure.failure = FailureClass::fatal_run;
      break;
    case TransportFault::too_large:
      failure.failure = FailureClass::ambiguous;
      failure.message = "the answer does not end: it is larger than the limit for one answer";
      break;
    default:
      failure.failure = FailureClass::retry;
  }
  return failure;
}

/// Sum of "1h2m3.5s", "500ms"; absent where the text has another form.
std::optional<double> parse_units(const std::string& text) {
  double total = 0;
  const char* at = text.c_str();
  while (*at) {
    char* end = nullptr;
    const double value = std::strtod(at, &end);
    if (end == at || !std::isfinite(value)) return std::nullopt;
    const std::string_view rest(end);
    double unit = 0;
    size_t length = 1;
    if (rest.starts_with("ms")) {
      unit = 0.001;
      length = 2;
    } else if (rest.starts_with("s")) {
      unit = 1;
    } else if (rest.starts_with("m")) {
      unit = 60;
    } else if (rest.starts_with("h")) {
      unit = 3600;
    } else if (rest.starts_with("d")) {
      unit = 86400;
    } else {
      return std::nullopt;
    }
    total += value * unit;
    at = end + length;
  }
  return total;
}

/// Seconds since 1970 of "2026-01-02T03:04:05[.6]Z" (or with +hh:mm).
std::optional<double> parse_rfc3339(const std::string& text) {
  std::tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (!rest) return std::nullopt;
  double time = static_cast<double>(timegm(&parts));
  if (*rest == '.') {
    char* end = nullptr;
    time += std::strtod(rest, &end);
    rest = end;
  }
  int hours = 0, minutes = 0;
  if (*rest == 'Z' || *rest == '\0') return time;
  if (std::sscanf(rest, "%d:%d", &hours, &minutes) != 2) return std::nullopt;
  return time - hours * 3600 - (hours < 0 || *rest == '-' ? -minutes : minutes) * 60;
}

}  // namespace

const char* name(FailureClass failure) {
  switch (failure) {
    case FailureClass::retry:
      return "infra";
    case FailureClass::rate_limit:
      return "rate_limit";
    case FailureClass::ambiguous:
      return "infra_ambiguous";
    case FailureClass::fail_sample:
      return "request_refused";
    case FailureClass::fatal_run:
      return "fatal";
    case FailureClass::cancelled:
      return "cancelled";
  }
  return "infra";
}

std::optional<double> parse_wait(const std::string& text, double now) {
  if (text.empty() || text.size() > 64) return std::nullopt;
  char* end = nullptr;
  const double plain = std::strtod(text.c_str(), &end);
  if (end != text.c_str() && *end == '\0')
    return std::isfinite(plain) ? std::optional(std::max(0.0, plain)) : std::nullopt;
  if (const auto units = parse_units(text)) return std::max(0.0, *units);
  if (const auto time = parse_rfc3339(text)) return std::max(0.0, *time - now);
  const time_t date = curl_getdate(text.c_str(), nullptr);
  if (date == -1) return std::nullopt;
  return std::max(0.0, static_cast<double>(date) - now);
}

ApiFailure classify_error_body(const nlohmann::json& body) {
  const ErrorBody error = read_error(body);
  ApiFailure failure;
  failure.code = error.codes.empty() ? "" : error.codes.front();
  failure.message = cut(error.message);
  failure.wait_seconds = error.retry_delay;
  failure.failure = class_of_code(error).value_or(FailureClass::ambiguous);
  return failure;
}

ApiFailure truncated(const std::string& what) {
  ApiFailure failure;
  failure.failure = FailureClass::retry;
  failure.code = "truncated";
  failure.message = what;
  return failure;
}

ApiFailure classify_response(const HttpResponse& response, double now) {
  if (response.status == 0 || (response.status == 200 && response.fault != TransportFault::none))
    return transport_failure(response);
  ApiFailure failure;
  ErrorBody error;
  if (const auto body = parse_json(response.body); body.ok()) {
    // Gemini's errors may come as an array of one.
    error = read_error(body->is_array() && !body->empty() ? (*body)[0] : *body);
  }
  failure.status = response.status;
  failure.code = error.codes.empty() ? "" : error.codes.front();
  failure.message = cut(error.message.empty() ? response.body : error.message);
  read_waits(response, now, failure);
  if (!failure.wait_seconds) failure.wait_seconds = error.retry_delay;
  if (response.status >= 300 && response.status < 400) {
    failure.failure = FailureClass::fatal_run;
    failure.code = "redirect";
    failure.message = fmt::format(
        "the server redirects to {}; requests carry a key and are not redirected: set base_url to "
        "the address that answers",
        header(response, "location").substr(0, 200));
    return failure;
  }
  const std::optional<FailureClass> by_code = class_of_code(error);
  const std::string should_retry = header(response, "x-should-retry");
  if (by_code == FailureClass::fatal_run)
    failure.failure = FailureClass::fatal_run;
  else if (should_retry == "true")
    failure.failure = response.status == 429 ? FailureClass::rate_limit : FailureClass::retry;
  else if (should_retry == "false")
    failure.failure = class_of_status(response.status) == FailureClass::fatal_run
                          ? FailureClass::fatal_run
                          : FailureClass::fail_sample;
  else
    failure.failure = class_of_status(response.status);
  return failure;
}

}  // namespace assay
