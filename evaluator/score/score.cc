#include "evaluator/score/score.h"

#include <cmath>

namespace assay {

Speedup relative(const Speedup& candidate, const Speedup& expert) {
  const auto half_width = [](const Speedup& speedup) {
    return (std::log(speedup.interval.high) - std::log(speedup.interval.low)) / 2;
  };
  const double middle = std::log(candidate.value / expert.value);
  const double width = std::hypot(half_width(candidate), half_width(expert));
  return {std::exp(middle), {std::exp(middle - width), std::exp(middle + width)}};
}

std::optional<double> normalised_score(double speedup_over_naive, double expert_over_naive) {
  if (!(expert_over_naive > 1.01) || !(speedup_over_naive > 0)) return std::nullopt;
  return std::log(speedup_over_naive) / std::log(expert_over_naive);
}

double speed_of_light(double limit_us, double time_us) {
  return time_us > 0 ? limit_us / time_us : 0;
}

std::optional<double> sol_score(double time_us, double baseline_us, double limit_us) {
  if (!(baseline_us > limit_us)) return std::nullopt;
  return 1 / (1 + (time_us - limit_us) / (baseline_us - limit_us));
}

std::optional<double> geometric_mean(std::span<const double> values) {
  if (values.empty()) return std::nullopt;
  double sum = 0;
  for (const double value : values) {
    if (!(value > 0)) return std::nullopt;
    sum += std::log(value);
  }
  return std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace assay
