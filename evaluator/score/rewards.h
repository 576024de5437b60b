// Rewards: named, versioned, pure functions of one evaluation's stored facts. rewards.cc opens with
// the theory of operation.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "evaluator/outcome.h"
#include "evaluator/timing/statistics.h"

namespace assay {

/// What formulas may look at: one evaluation, as stored.
struct RewardFacts {
  Outcome outcome = Outcome::harness_error;
  std::string reason;
  bool compiled = false;  // there was device code
  int tests_passed = 0;   // of the test cases that ran; timed cases do not count
  int tests_total = 0;
  bool timed = false;                 // the fields below hold; else they are 0
  double speedup = 0;                 // over the naive kernel, geometric mean over the timed cases
  statistics::Interval interval;      // 95 %, of speedup
  std::optional<double> over_expert;  // T_expert / T
  std::optional<double> sol;          // SOL-ExecBench's score, mean over the timed cases
  std::optional<double> speed_of_light;  // share of the physical limit
  double kernel_us = 0;                  // median time of a call; 0 with several timed cases
  double reference_us = 0;
  bool triton = false;         // the candidate's language, else CUDA C++
  double time_coverage = 1;    // share of device time in the candidate's own kernels
  double number_coverage = 1;  // share of launches that are the candidate's own kernels

  bool correct() const { return outcome == Outcome::correct; }
  bool tampered() const { return outcome == Outcome::tampered; }
  bool has_code() const { return outcome != Outcome::no_code && outcome != Outcome::rejected; }
  /// tests_passed / tests_total; 0 where none ran, or where the evaluation stopped early.
  double correct_fraction() const;
};

/// total == sum of the components, always.
struct Reward {
  std::vector<std::pair<std::string, double>> components;
  double total() const;
};

struct RewardFormula {
  std::string name;  // "kevin32b"
  int version = 1;
  std::string about;          // the formula, in words
  std::string source;         // who published it
  bool needs_timing = false;  // worth nothing on a device that does not time
  /// Absent: no verdict about the candidate (trouble of ours) or not measured; never a 0.
  std::function<std::optional<Reward>(const RewardFacts&)> reward;

  std::string id() const { return name + "@" + std::to_string(version); }
};

/// The shipped formulas, ours first.
const std::vector<RewardFormula>& reward_formulas();

/// "kevin32b" (its newest version) or "kevin32b@1". usage: names the nearest ones.
Result<RewardFormula> find_reward(const std::string& name);

/// A formula by name, or, for a path that ends in .toml, a user's own (custom_reward.h).
Result<RewardFormula> load_reward(const std::string& name_or_file);

}  // namespace assay
