#include "reports/power.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>

#include "reports/task_values.h"

namespace assay {

namespace {

double variance_of_difference(const Spread& spread, int samples) {
  return spread.between + (spread.within_a + spread.within_b) / samples;
}

/// What one run says about its tasks' rates.
struct Pilot {
  double within = 0;      // mean over tasks with two samples of c (n - c) / (n (n - 1))
  double mean_noise = 0;  // what that adds to the variance of a task's mean, on average
};

Result<Pilot> pilot_of(const ReportRun& run, const ByTask& tasks) {
  double within = 0, inverse_samples = 0;
  int repeated = 0, with_verdict = 0;
  for (const auto& [task, samples] : tasks) {
    const auto n = static_cast<double>(std::ranges::count_if(samples, &ReportSample::counted));
    const auto c = static_cast<double>(std::ranges::count_if(samples, &ReportSample::correct));
    if (n == 0) continue;
    ++with_verdict;
    inverse_samples += 1 / n;
    if (n < 2) continue;
    within += c * (n - c) / (n * (n - 1));
    ++repeated;
  }
  if (repeated == 0 || with_verdict < 2)
    return Error{ErrorKind::invalid,
                 run.label +
                     " says too little: a pilot run needs two tasks, and two samples of a "
                     "task with verdicts (--samples 2)"};
  within /= repeated;
  return Pilot{within, within * inverse_samples / with_verdict};
}

double sample_variance(const std::vector<double>& values) {
  const double error = statistics::mean(values).standard_error;
  return error * error * static_cast<double>(values.size());
}

}  // namespace

double detection_factor(double power) {
  const boost::math::normal normal;
  return boost::math::quantile(normal, 0.975) + boost::math::quantile(normal, power);
}

int tasks_needed(const Spread& spread, int samples, double difference, double power) {
  const double ratio = detection_factor(power) / difference;
  const double tasks = std::ceil(ratio * ratio * variance_of_difference(spread, samples));
  return static_cast<int>(std::clamp(tasks, 2.0, 1e9));
}

double smallest_difference(const Spread& spread, int samples, int tasks, double power) {
  return detection_factor(power) * std::sqrt(variance_of_difference(spread, samples) / tasks);
}

Result<Spread> spread_of(const ReportRun& a, const ReportRun* b) {
  const ByTask tasks_a = by_task(all_samples(a));
  ASSIGN_OR_RETURN(const Pilot pilot_a, pilot_of(a, tasks_a));
  Spread spread;
  spread.within_a = spread.within_b = pilot_a.within;
  std::vector<double> values;
  double noise = pilot_a.mean_noise;
  if (!b) {
    // Two agents that scatter alike and correlate with 0.5: 2 v (1 - 0.5) is v.
    for (const auto& [task, samples] : tasks_a)
      if (const auto rate = task_pass_at_k(samples, 1)) values.push_back(*rate);
  } else {
    const ByTask tasks_b = by_task(all_samples(*b));
    ASSIGN_OR_RETURN(const Pilot pilot_b, pilot_of(*b, tasks_b));
    spread.within_b = pilot_b.within;
    noise += pilot_b.mean_noise;
    for (const auto& [task, samples] : tasks_a) {
      const auto found = tasks_b.find(task);
      if (found == tasks_b.end()) continue;
      const auto rate_a = task_pass_at_k(samples, 1), rate_b = task_pass_at_k(found->second, 1);
      if (rate_a && rate_b) values.push_back(*rate_a - *rate_b);
    }
    if (values.size() < 2)
      return Error{ErrorKind::invalid,
                   a.label + " and " + b->label + " share fewer than two tasks with verdicts"};
  }
  spread.between = std::max(0.0, sample_variance(values) - noise);
  return spread;
}

}  // namespace assay
