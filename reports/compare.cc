#include "reports/compare.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "reports/power.h"
#include "reports/table.h"
#include "reports/task_values.h"

namespace assay {

namespace {

/// The samples of a and b of a task that both have.
using Shared = std::vector<std::pair<TaskSamples, TaskSamples>>;
using OfTask = std::function<std::optional<double>(const TaskSamples&)>;

TaskSamples counted(const ReportRun& run) {
  TaskSamples samples;
  for (const ReportSample& sample : run.samples)
    if (sample.counted()) samples.push_back(&sample);
  return samples;
}

Shared shared_tasks(const ReportRun& a, const ReportRun& b) {
  ByTask of_a = by_task(counted(a)), of_b = by_task(counted(b));
  Shared shared;
  for (auto& [task, samples] : of_a)
    if (const auto found = of_b.find(task); found != of_b.end())
      shared.emplace_back(std::move(samples), std::move(found->second));
  return shared;
}

/// Of the tasks where both have a value; nothing where there are none.
void add_measure(RunComparison& comparison, const Shared& shared, const std::string& name,
                 bool ratio, const OfTask& of_task) {
  std::vector<double> a, b;
  for (const auto& [samples_a, samples_b] : shared) {
    const auto value_a = of_task(samples_a), value_b = of_task(samples_b);
    if (!value_a || !value_b) continue;
    a.push_back(ratio ? std::log(*value_a) : *value_a);
    b.push_back(ratio ? std::log(*value_b) : *value_b);
  }
  if (a.empty()) return;
  PairedMeasure& measure = comparison.measures.emplace_back();
  measure.name = name;
  measure.ratio = ratio;
  measure.estimate = statistics::paired_difference(a, b);
  measure.correlation = statistics::correlation(a, b);
  if (!ratio) return;
  statistics::Estimate& estimate = measure.estimate;
  estimate.value = std::exp(estimate.value);
  estimate.interval = {std::exp(estimate.interval.low), std::exp(estimate.interval.high)};
}

void count_wins(RunComparison& comparison, const Shared& shared) {
  for (const auto& [samples_a, samples_b] : shared) {
    const double difference = *task_pass_at_k(samples_a, 1) - *task_pass_at_k(samples_b, 1);
    ++(difference > 0 ? comparison.wins : difference < 0 ? comparison.losses : comparison.ties);
  }
  comparison.sign_p = statistics::sign_test(comparison.wins, comparison.wins + comparison.losses);
}

/// Above p = 0 a run that was not timed says nothing, and its failures alone are no rate.
bool timed(const ReportRun& run) { return any_timed(counted(run)); }
bool scored(const ReportRun& run) { return any_scored(counted(run)); }

std::string value_text(const PairedMeasure& measure) {
  const statistics::Estimate& estimate = measure.estimate;
  std::string text = measure.ratio ? fmt::format("{:.3g}x", estimate.value)
                                   : fmt::format("{:+.3f}", estimate.value);
  if (!std::isfinite(estimate.interval.high)) return text;
  return text +
         (measure.ratio
              ? fmt::format(" [{:.3g}, {:.3g}]", estimate.interval.low, estimate.interval.high)
              : fmt::format(" [{:+.3f}, {:+.3f}]", estimate.interval.low, estimate.interval.high));
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.3f}", value) : "-";
}

}  // namespace

Result<RunComparison> compare_runs(const ReportRun& a, const ReportRun& b) {
  RunComparison comparison;
  comparison.a = a.label;
  comparison.b = b.label;
  comparison.language_a = language_of(a.run);
  comparison.language_b = language_of(b.run);
  const Shared shared = shared_tasks(a, b);
  if (shared.empty())
    return Error{ErrorKind::not_found,
                 a.label + " and " + b.label + " have no task in common with verdicts in both"};
  comparison.tasks = static_cast<int>(shared.size());
  add_measure(comparison, shared, "pass@1", false,
              [](const TaskSamples& samples) { return task_pass_at_k(samples, 1); });
  if (timed(a) && timed(b))
    add_measure(comparison, shared, "fast_1@1", false,
                [](const TaskSamples& samples) { return task_fast_at_k(samples, 1, 1); });
  if (scored(a) && scored(b))
    add_measure(comparison, shared, "score@1", false,
                [](const TaskSamples& samples) { return task_score_at_k(samples, 1); });
  add_measure(comparison, shared, "speed, where both are correct", true, task_speedup);
  if (timed(a) && timed(b))
    add_measure(comparison, shared, "speed, failed tasks at 1.0x", true, task_speedup_or_baseline);
  count_wins(comparison, shared);
  return comparison;
}

std::string comparison_text(const RunComparison& comparison, size_t width) {
  std::string text = fmt::format("A: {}, in {}\nB: {}, in {}\n{} tasks in common\n\n", comparison.a,
                                 title(comparison.language_a), comparison.b,
                                 title(comparison.language_b), comparison.tasks);
  Table table({"measure", "A - B or A / B, 95 %", "tasks", "standard error", "correlation"},
              {false, true, true, true, true});
  for (const PairedMeasure& measure : comparison.measures)
    table.add({measure.name, value_text(measure), std::to_string(measure.estimate.count),
               number(measure.estimate.standard_error),
               measure.correlation ? number(*measure.correlation) : "-"});
  text += table.text(width);
  text += fmt::format("\ntasks better: A {}, B {}, equal {} (sign test p = {:.3g})\n",
                      comparison.wins, comparison.losses, comparison.ties, comparison.sign_p);
  const double error = comparison.measures[0].estimate.standard_error;
  if (std::isfinite(error) && error > 0)
    text += fmt::format(
        "Such a comparison sees a difference of pass@1 of {:.3f} four times out of five; assay "
        "power says what a smaller one takes.\n",
        error * detection_factor(0.8));
  return text + "Paired by task; the standard error of a ratio is of its logarithm.\n";
}

nlohmann::json to_json(const RunComparison& comparison) {
  nlohmann::json measures = nlohmann::json::array();
  for (const PairedMeasure& measure : comparison.measures) {
    const statistics::Estimate& estimate = measure.estimate;
    nlohmann::json one = {{"name", measure.name},
                          {"kind", measure.ratio ? "ratio" : "difference"},
                          {"tasks", estimate.count},
                          {"value", estimate.value},
                          {"correlation", nullptr}};
    if (measure.correlation) one["correlation"] = *measure.correlation;
    if (std::isfinite(estimate.standard_error))
      one.update({{"standard_error", estimate.standard_error},
                  {"low", estimate.interval.low},
                  {"high", estimate.interval.high}});
    measures.push_back(std::move(one));
  }
  return {{"language_a", name(comparison.language_a)},
          {"language_b", name(comparison.language_b)},
          {"a", comparison.a},
          {"b", comparison.b},
          {"tasks", comparison.tasks},
          {"measures", measures},
          {"wins", comparison.wins},
          {"losses", comparison.losses},
          {"ties", comparison.ties},
          {"sign_p", comparison.sign_p}};
}

}  // namespace assay
