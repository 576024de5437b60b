#include "reports/task_values.h"

#include <algorithm>
#include <cmath>

#include "evaluator/score/score.h"

namespace assay {

namespace {

bool counted(const ReportSample* sample) { return sample->counted(); }
bool correct(const ReportSample* sample) { return sample->correct(); }
bool timed(const ReportSample* sample) { return sample->correct() && sample->speed.has_value(); }

/// pass@k with `counts` and `succeeds` saying which samples are n and c.
template <typename Counts, typename Succeeds>
std::optional<double> estimate(const TaskSamples& samples, int k, const Counts& counts,
                               const Succeeds& succeeds) {
  const auto n = std::ranges::count_if(samples, counts);
  const auto c = std::ranges::count_if(
      samples, [&](const ReportSample* sample) { return counts(sample) && succeeds(sample); });
  return statistics::pass_at_k(static_cast<int>(n), static_cast<int>(c), k);
}

/// Between the naive kernel (0) and the expert's (1); a failure is worth the naive kernel.
std::optional<double> worth(const ReportSample& sample) {
  if (!sample.counted()) return std::nullopt;
  if (!sample.correct()) return 0;
  if (!sample.speed || !sample.speed->over_expert || !(*sample.speed->over_expert > 0))
    return std::nullopt;
  return normalised_score(sample.speed->speedup,
                          sample.speed->speedup / *sample.speed->over_expert);
}

std::vector<double> worths(const TaskSamples& samples) {
  std::vector<double> scores;
  for (const ReportSample* sample : samples)
    if (const auto score = worth(*sample)) scores.push_back(*score);
  return scores;
}

}  // namespace

TaskSamples all_samples(const ReportRun& run) {
  TaskSamples samples;
  samples.reserve(run.samples.size());
  for (const ReportSample& sample : run.samples) samples.push_back(&sample);
  return samples;
}

ByTask by_task(const TaskSamples& samples) {
  ByTask tasks;
  for (const ReportSample* sample : samples) tasks[sample->result.task_id].push_back(sample);
  return tasks;
}

std::optional<double> task_pass_at_k(const TaskSamples& samples, int k) {
  return estimate(samples, k, counted, correct);
}

std::optional<double> task_fast_at_k(const TaskSamples& samples, double p, int k,
                                     SpeedBound bound) {
  if (!(p > 0)) return task_pass_at_k(samples, k);
  const auto counts = [](const ReportSample* sample) {
    return sample->counted() && (!sample->correct() || sample->speed);
  };
  const auto succeeds = [p, bound](const ReportSample* sample) {
    if (!sample->correct()) return false;
    return (bound == SpeedBound::low ? sample->speed->interval.low : sample->speed->speedup) > p;
  };
  return estimate(samples, k, counts, succeeds);
}

std::optional<double> task_score_at_k(const TaskSamples& samples, int k) {
  return statistics::best_of_k(worths(samples), k);
}

std::optional<double> task_score_at_k_with_replacement(const TaskSamples& samples, int k) {
  return statistics::best_of_k_with_replacement(worths(samples), k);
}

std::optional<double> task_speedup(const TaskSamples& samples) {
  double sum = 0;
  int count = 0;
  for (const ReportSample* sample : samples)
    if (timed(sample) && sample->speed->speedup > 0) {
      sum += std::log(sample->speed->speedup);
      ++count;
    }
  if (count == 0) return std::nullopt;
  return std::exp(sum / count);
}

std::optional<double> task_speedup_or_baseline(const TaskSamples& samples) {
  if (std::ranges::none_of(samples, counted)) return std::nullopt;
  const auto speedup = task_speedup(samples);
  if (speedup || any_correct(samples)) return speedup;
  return 1.0;
}

std::optional<double> task_best_retested(const TaskSamples& samples) {
  std::optional<double> best;
  for (const ReportSample* sample : samples)
    if (timed(sample) && sample->first_speed)
      best = std::max(best.value_or(0), sample->speed->speedup);
  return best;
}

bool any_scored(const TaskSamples& samples) {
  return std::ranges::any_of(samples, [](const ReportSample* sample) {
    return sample->correct() && worth(*sample).has_value();
  });
}

bool any_correct(const TaskSamples& samples) { return std::ranges::any_of(samples, correct); }

bool any_timed(const TaskSamples& samples) { return std::ranges::any_of(samples, timed); }

}  // namespace assay
