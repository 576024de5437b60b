// How often and how soon a failed request is tried again.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "agents/model/failure.h"

namespace assay {

struct RetryPolicy {
  int attempts = 8;            // of infrastructure failures
  int ambiguous_attempts = 3;  // of failures that may be the request's own fault
  int rate_limit_attempts = 60;
  double first_wait_seconds = 0.5;
  double longest_wait_seconds = 60;         // of our own backoff
  double longest_asked_wait_seconds = 300;  // a server that asks for more is given up on
  double total_wait_seconds = 3600;         // of one request

  /// Seconds until the next attempt; absent: give up. `attempt` counts from 1; `random` is in
  /// [0, 1): jitter takes up to a quarter off our own backoff.
  std::optional<double> wait(const ApiFailure& failure, int attempt, double waited_seconds,
                             double random) const {
    int allowed = 0;
    if (failure.failure == FailureClass::retry) allowed = attempts;
    if (failure.failure == FailureClass::rate_limit) allowed = rate_limit_attempts;
    if (failure.failure == FailureClass::ambiguous) allowed = ambiguous_attempts;
    if (attempt >= allowed) return std::nullopt;
    double seconds = std::min(first_wait_seconds * std::pow(2.0, std::min(attempt - 1, 20)),
                              longest_wait_seconds) *
                     (1 - 0.25 * random);
    if (failure.wait_seconds) {
      if (*failure.wait_seconds > longest_asked_wait_seconds) return std::nullopt;
      seconds = *failure.wait_seconds;
    }
    if (waited_seconds + seconds > total_wait_seconds) return std::nullopt;
    return seconds;
  }
};

}  // namespace assay
