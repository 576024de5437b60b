// From rewards of turns and samples to what a trainer optimises: returns and advantages. An absent
// reward (no verdict, or not measured) is carried as absent, never as 0.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay {

using Rewards = std::vector<std::optional<double>>;

/// R_t = sum over j >= t of discount^(j-t) r_j (Kevin-32B's, arXiv 2507.11948, with 0.4). Absent
/// where any of the rewards it holds is.
Rewards discounted_sums(std::span<const std::optional<double>> rewards, double discount);

/// R_t = max over j >= t of discount^(j-t) r_j. Absent where any of the rewards it holds is.
Rewards discounted_maxima(std::span<const std::optional<double>> rewards, double discount);

enum class Advantage {
  none,           // the rewards as they are
  mean_std,       // (r - mean) / (population standard deviation + 1e-6): GRPO, arXiv 2402.03300
  leave_one_out,  // r - mean of the others: RLOO, arXiv 2402.14740
};
/// "none", "mean_std" or "leave_one_out"; usage otherwise.
Result<Advantage> advantage_from_name(const std::string& name);

/// Of one group. Absent rewards are in no mean and get no advantage; a group with fewer than two
/// rewards gives 0 for mean_std and nothing for leave_one_out.
Rewards advantages(std::span<const std::optional<double>> rewards, Advantage kind);

}  // namespace assay
