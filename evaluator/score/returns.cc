#include "evaluator/score/returns.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

template <typename Combine>
Rewards backwards(std::span<const std::optional<double>> rewards, const Combine& combine) {
  Rewards returns(rewards.size());
  std::optional<double> later;
  for (size_t i = rewards.size(); i-- > 0;) {
    const bool last = i + 1 == rewards.size();
    if (!rewards[i] || (!last && !later))
      later.reset();
    else
      later = last ? *rewards[i] : combine(*rewards[i], *later);
    returns[i] = later;
  }
  return returns;
}

}  // namespace

Rewards discounted_sums(std::span<const std::optional<double>> rewards, double discount) {
  return backwards(rewards,
                   [discount](double reward, double later) { return reward + discount * later; });
}

Rewards discounted_maxima(std::span<const std::optional<double>> rewards, double discount) {
  return backwards(rewards, [discount](double reward, double later) {
    return std::max(reward, discount * later);
  });
}

Result<Advantage> advantage_from_name(const std::string& name) {
  if (name == "none") return Advantage::none;
  if (name == "mean_std") return Advantage::mean_std;
  if (name == "leave_one_out") return Advantage::leave_one_out;
  return Error{ErrorKind::usage,
               "there is no advantage '" + name + "'; there are none, mean_std, leave_one_out"};
}

Rewards advantages(std::span<const std::optional<double>> rewards, Advantage kind) {
  Rewards result(rewards.begin(), rewards.end());
  if (kind == Advantage::none) return result;
  double sum = 0, count = 0;
  for (const auto& reward : rewards)
    if (reward) sum += *reward, ++count;
  const double mean = count > 0 ? sum / count : 0;
  double squares = 0;
  for (const auto& reward : rewards)
    if (reward) squares += (*reward - mean) * (*reward - mean);
  const double deviation = count > 0 ? std::sqrt(squares / count) : 0;
  for (auto& value : result) {
    if (!value) continue;
    if (kind == Advantage::mean_std)
      value = (*value - mean) / (deviation + 1e-6);
    else if (count < 2)
      value.reset();
    else
      value = *value - (sum - *value) / (count - 1);
  }
  return result;
}

}  // namespace assay
