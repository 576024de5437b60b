// What the samples of one task come to: the values that reports average over tasks and that
// comparisons pair by task.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/run_report.h"

namespace assay {

/// Samples of one task, not owned. Those without a verdict count for nothing.
using TaskSamples = std::vector<const ReportSample*>;
using ByTask = std::map<std::string, TaskSamples>;

TaskSamples all_samples(const ReportRun& run);
ByTask by_task(const TaskSamples& samples);

/// Absent where fewer than k samples have a verdict.
std::optional<double> task_pass_at_k(const TaskSamples& samples, int k);

/// Which figure of a sample's speed has to be above the threshold.
enum class SpeedBound { value, low };
/// Correct samples without a speed are left out of n for p above 0: they say nothing there.
std::optional<double> task_fast_at_k(const TaskSamples& samples, double p, int k,
                                     SpeedBound bound = SpeedBound::value);

/// The expected best of k on a log scale from the naive kernel (0, also of failures) to the
/// expert's (1). Samples that are correct without a speed, or without an expert's, are left out.
std::optional<double> task_score_at_k(const TaskSamples& samples, int k);
/// The same, one sample drawn several times (statistics::best_of_k_with_replacement).
std::optional<double> task_score_at_k_with_replacement(const TaskSamples& samples, int k);

/// The geometric mean of the correct, timed samples.
std::optional<double> task_speedup(const TaskSamples& samples);
/// The same, and 1.0 where no sample is correct: the user keeps the baseline. Absent without a
/// verdict, or where what is correct was not timed.
std::optional<double> task_speedup_or_baseline(const TaskSamples& samples);

/// The fastest of the correct samples that were re-tested. Absent where there are none.
std::optional<double> task_best_retested(const TaskSamples& samples);

/// A correct sample with a speed that score@k can use is among them.
bool any_scored(const TaskSamples& samples);
bool any_correct(const TaskSamples& samples);
bool any_timed(const TaskSamples& samples);

}  // namespace assay
