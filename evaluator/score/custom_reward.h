// Rewards that users write: expressions over named facts in a TOML file (docs/rewards.md).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "evaluator/score/rewards.h"

namespace assay {

/// The fact names that expressions may use, each with its meaning, in the order shown.
const std::vector<std::pair<std::string, std::string>>& reward_fact_names();

/// Reads a reward and tries it on a grid of facts: it must be finite everywhere, strictly worth
/// more for correct than for wrong, never less for faster, and never more for tampered than for
/// wrong. Errors (invalid) name the file, the line and key, or the two candidates in the wrong
/// order.
Result<RewardFormula> load_custom_reward(const std::filesystem::path& path);

/// The grid alone, for any formula; `about` names it in the message.
Result<void> check_monotone(const RewardFormula& formula);

}  // namespace assay
