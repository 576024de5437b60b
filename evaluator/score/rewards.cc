// Theory of operation
//
// A reward is computed from facts that the store holds, never while measuring: the same evaluation
// can be scored by any formula, later, without a GPU. A formula names its components and their
// total is their sum, so that a trainer's log shows where a number came from.
//
// Nothing is made up where nothing was measured. A harness_error has no reward (an absent one,
// which callers must carry as null): a 0 would lower its group's baseline and reward the others for
// our trouble. A formula that needs a speedup has no reward for a correct candidate that was not
// timed; wrong candidates have theirs all the same.
//
// Formulas of others (published_rewards.cc) are kept as their authors wrote them, also where they
// are not monotone; `assay rewards show` says what is known about each. Ours (assay_reward.cc) is
// bounded and monotone. A changed formula is a new version beside the old one.
#include "evaluator/score/rewards.h"

#include <fmt/format.h>

#include "evaluator/score/custom_reward.h"
#include "evaluator/score/reward_lists.h"
#include "tasks/nearest.h"

namespace assay {

double RewardFacts::correct_fraction() const {
  if (correct()) return 1;
  const bool ran_to_the_end =
      outcome == Outcome::wrong_output || outcome == Outcome::nondeterministic;
  if (!ran_to_the_end || tests_total <= 0) return 0;
  return static_cast<double>(tests_passed) / tests_total;
}

double Reward::total() const {
  double sum = 0;
  for (const auto& [name, value] : components) sum += value;
  return sum;
}

const std::vector<RewardFormula>& reward_formulas() {
  static const std::vector<RewardFormula> all = [] {
    std::vector<RewardFormula> formulas = own_rewards();
    for (RewardFormula& formula : published_rewards()) formulas.push_back(std::move(formula));
    // What holds for every formula is said once: trouble of ours is worth nothing at all, and a
    // formula that needs a speed has no reward for a correct candidate without one.
    for (RewardFormula& formula : formulas)
      formula.reward = [reward = std::move(formula.reward), needs_timing = formula.needs_timing](
                           const RewardFacts& facts) -> std::optional<Reward> {
        if (facts.outcome == Outcome::harness_error) return std::nullopt;
        if (needs_timing && facts.correct() && !facts.timed) return std::nullopt;
        return reward(facts);
      };
    return formulas;
  }();
  return all;
}

Result<RewardFormula> find_reward(const std::string& name) {
  const RewardFormula* found = nullptr;
  std::vector<std::string> known;
  for (const RewardFormula& formula : reward_formulas()) {
    if (formula.id() == name) return formula;
    if (formula.name == name && (!found || found->version < formula.version)) found = &formula;
    known.push_back(formula.id());
  }
  if (found) return *found;
  return Error{ErrorKind::usage,
               fmt::format("there is no reward {}{}; there are {}", in_quotes(name),
                           suggestion(name, known), listed(known))};
}

Result<RewardFormula> load_reward(const std::string& name_or_file) {
  if (name_or_file.ends_with(".toml")) return load_custom_reward(name_or_file);
  return find_reward(name_or_file);
}

}  // namespace assay
