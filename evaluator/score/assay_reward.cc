// assay's own rewards.
#include <algorithm>
#include <cmath>

#include "evaluator/score/reward_lists.h"

namespace assay {

namespace {

// assay-v1. What each part is for:
//   compiled, tests   a slope for models that are not right yet; at most 0.15, so that no wrong
//                     candidate comes near a correct one
//   correct           0.3 together with the above, whatever the speed
//   speed             up to 0.6 for 16 times the naive kernel's speed, down to -0.1 for a
//   sixteenth,
//                     equal ratios worth the same. Of the interval the end nearer to 1 counts:
//                     noise cannot earn anything, and two candidates that could not be told from
//                     the naive kernel are worth the same
constexpr double kCompiled = 0.05;
constexpr double kTests = 0.1;
constexpr double kCorrect = 0.15;
constexpr double kFast = 0.6;
constexpr double kSlow = 0.1;
constexpr double kDeadZone = 0.02;  // on the log scale: about 2 %, the repeatability of one session
constexpr double kFullSpeedup = 16;

/// 0 inside the dead zone, 1 at a ratio of 16 and beyond.
double strength(double log_ratio) {
  return std::clamp((log_ratio - kDeadZone) / (std::log(kFullSpeedup) - kDeadZone), 0.0, 1.0);
}

double speed_component(const RewardFacts& facts) {
  if (!facts.timed || !(facts.speedup > 0)) return 0;
  const double low = facts.interval.low > 0 ? std::log(facts.interval.low) : 0;
  const double high = facts.interval.high > 0 ? std::log(facts.interval.high) : 0;
  if (low > 0) return kFast * strength(low);
  if (high < 0) return -kSlow * strength(-high);
  return 0;
}

std::optional<Reward> assay_v1(const RewardFacts& facts) {
  const bool worth_something = facts.compiled && !facts.tampered();
  const bool correct = facts.correct();
  return Reward{{{"compiled", worth_something ? kCompiled : 0},
                 {"tests", worth_something ? kTests * facts.correct_fraction() : 0},
                 {"correct", correct ? kCorrect : 0},
                 {"speed", correct ? speed_component(facts) : 0}}};
}

std::optional<Reward> correct_only(const RewardFacts& facts) {
  return Reward{{{"correct", facts.correct() ? 1.0 : 0.0}}};
}

std::optional<Reward> log_speedup(const RewardFacts& facts) {
  if (!facts.correct()) return Reward{{{"correct", 0}, {"speed", 0}}};
  return Reward{{{"correct", 1}, {"speed", std::max(-1.0, std::log(facts.speedup))}}};
}

}  // namespace

std::vector<RewardFormula> own_rewards() {
  return {
      {"assay-v1", 1,
       "0.05 compiled + 0.1 share of test cases right + 0.15 correct + speed: 0.6 log(s)/log(16) "
       "above 1, -0.1 log(1/s)/log(16) below, clipped, where s is the end of the speedup's 95 % "
       "interval nearer to 1 and 2 % around 1 are a dead zone. 0 for tampered. In [0, 0.9]; "
       "monotone; without timing the speed part is 0",
       "assay", false, assay_v1},
      {"correct", 1, "1 if correct, else 0", "assay", false, correct_only},
      {"log-speedup", 1, "1 + ln(speedup) if correct, at least 0, else 0", "assay", true,
       log_speedup},
  };
}

}  // namespace assay
