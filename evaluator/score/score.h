// What a timed, correct candidate is worth. Pure functions of recorded facts.
#pragma once

#include <optional>
#include <span>

#include "evaluator/timing/statistics.h"

namespace assay {

/// A ratio of times with its 95 % interval.
struct Speedup {
  double value = 0;
  statistics::Interval interval;
};

/// candidate over expert from both sides' speedups over the same baseline; the half-widths add in
/// quadrature on the log scale.
Speedup relative(const Speedup& candidate, const Speedup& expert);

/// 0 at the naive kernel's speed, 1 at the expert's, on a log scale; above 1 is faster than the
/// expert. Undefined where the expert is not at least 1 % faster than naive.
std::optional<double> normalised_score(double speedup_over_naive, double expert_over_naive);

/// T_limit / T: 1 is the speed of light.
double speed_of_light(double limit_us, double time_us);

/// SOL-ExecBench's score, 1 / (1 + (T - T_limit) / (T_baseline - T_limit)): 0.5 at the baseline, 1
/// at the limit. Undefined where the baseline is at or below the limit.
std::optional<double> sol_score(double time_us, double baseline_us, double limit_us);

/// exp of the mean log; undefined for an empty span or a value that is not positive.
std::optional<double> geometric_mean(std::span<const double> values);

}  // namespace assay
