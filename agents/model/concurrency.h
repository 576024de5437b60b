// How many requests to one model may be in flight: grows while all is well, shrinks on 429.
#pragma once

#include <algorithm>
#include <string>

namespace assay {

/// Times are seconds on any steady clock. A round is max(limit, 4) clean successes; at its end the
/// limit grows if it was used. Before the first rate limit it doubles, afterwards it grows by 5 %.
/// A rate limit cuts it by a fifth once per episode: while cooling down, further ones only extend
/// the cooldown.
class AdaptiveLimit {
 public:
  explicit AdaptiveLimit(int start = 20, int least = 4, int most = 200)
      : limit_(start), least_(std::min(least, start)), most_(std::max(most, start)) {}

  int limit() const { return limit_; }
  double cooldown_until() const { return cooldown_until_; }
  bool cooling(double now) const { return now < cooldown_until_; }
  /// Why the limit last changed: "", slow_start, steady_state_up, rate_limit.
  const std::string& last_change() const { return last_change_; }

  void on_start(int in_flight) { peak_ = std::max(peak_, in_flight); }

  /// `clean`: at the first attempt.
  void on_success(double now, bool clean) {
    if (!clean || cooling(now)) return;
    if (++successes_ < std::max(limit_, 4)) return;
    const bool used = peak_ * 10 >= limit_ * 8;
    successes_ = 0;
    peak_ = 0;
    if (!used || limit_ == most_) return;
    int grown = limit_ * 2;
    if (limited_before_) {
      grown = limit_ + std::max(1, limit_ / 20);
      if (grown >= 10) grown = (grown + 4) / 5 * 5;
    }
    limit_ = std::min(grown, most_);
    last_change_ = limited_before_ ? "steady_state_up" : "slow_start";
  }

  void on_rate_limit(double now, double hint_seconds) {
    successes_ = 0;
    if (!cooling(now)) {
      limit_ = std::max(least_, limit_ * 4 / 5);
      last_change_ = "rate_limit";
      limited_before_ = true;
    }
    cooldown_until_ = std::max(cooldown_until_, now + std::max(15.0, hint_seconds));
  }

 private:
  int limit_;
  int least_;
  int most_;
  int successes_ = 0;
  int peak_ = 0;
  bool limited_before_ = false;
  double cooldown_until_ = -1e300;
  std::string last_change_;
};

}  // namespace assay
