// Theory of operation
//
// Only samples with a verdict count as n; those that failed for reasons that are not the agent's,
// or are not finished, are shown beside it and are in no rate. Rates are computed per task with
// unbiased estimators and averaged over the tasks that have k samples; intervals come from
// resampling tasks. A sample that was not timed is not 1.0x: it is in no speed figure, and in
// fast_p only at p = 0, which asks for correctness alone; above that it is left out of the task's
// n.
#include "reports/run_report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "reports/task_values.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

std::string outcome_name(Outcome outcome) { return std::string(name(outcome)); }

/// The mean over tasks, where `of_task` says what one task's samples come to. The tasks are the
/// clusters: they are what is resampled, and their means give the standard error.
template <typename OfTask>
RateAtK over_tasks(const ByTask& tasks, int k, const OfTask& of_task) {
  std::vector<double> values;
  for (const auto& [task, samples] : tasks)
    if (const std::optional<double> value = of_task(samples)) values.push_back(*value);
  RateAtK result;
  result.k = k;
  result.tasks = static_cast<int>(values.size());
  if (values.empty()) return result;
  const statistics::Estimate mean = statistics::mean(values);
  result.value = mean.value;
  result.standard_error = mean.standard_error;
  result.interval = statistics::bootstrap_mean(values);
  return result;
}

/// The same for a rate. Equal values have a bootstrap interval of no width, which would claim
/// certainty.
template <typename OfTask>
RateAtK rate(const ByTask& tasks, int k, const OfTask& of_task) {
  RateAtK result = over_tasks(tasks, k, of_task);
  if (result.value && result.interval.low == result.interval.high)
    result.interval = statistics::wilson_interval(
        static_cast<int>(std::lround(*result.value * result.tasks)), result.tasks);
  return result;
}

template <typename Test>
bool any_task(const ByTask& tasks, const Test& test) {
  return std::ranges::any_of(tasks, [&](const auto& task) { return test(task.second); });
}

void add_rates(const ByTask& tasks, const std::vector<int>& ks, ReportRow& row) {
  // Where nothing was timed, the failures alone would make a rate of fast samples 0.
  const bool unknown = any_task(tasks, any_correct) && !any_task(tasks, any_timed);
  const auto fast = [&](double p, int k, SpeedBound bound) {
    RateAtK value;
    if (p == 0 || !unknown)
      value = rate(tasks, k, [&](const TaskSamples& samples) {
        return task_fast_at_k(samples, p, k, bound);
      });
    value.p = p;
    value.k = k;
    return value;
  };
  for (const int k : ks) {
    row.pass.push_back(
        rate(tasks, k, [k](const TaskSamples& samples) { return task_pass_at_k(samples, k); }));
    for (const double p : kFastThresholds) {
      row.fast.push_back(fast(p, k, SpeedBound::value));
      if (k == 1) row.fast_low.push_back(fast(p, k, SpeedBound::low));
    }
  }
}

/// Where nothing was timed there is no score: the failures alone would make it 0.
void add_scores(const ByTask& tasks, const std::vector<int>& ks, ReportRow& row) {
  const bool scored = any_task(tasks, any_scored);
  for (const int k : ks) {
    row.score.push_back(over_tasks(tasks, k, [&](const TaskSamples& samples) {
      return scored ? task_score_at_k(samples, k) : std::nullopt;
    }));
    row.score_with_replacement.push_back(over_tasks(tasks, k, [&](const TaskSamples& samples) {
      return scored ? task_score_at_k_with_replacement(samples, k) : std::nullopt;
    }));
  }
}

void add_speeds(const ByTask& tasks, ReportRow& row) {
  std::vector<double> per_task, with_failures, shrinkages, best;
  for (const auto& [task, samples] : tasks) {
    if (const auto speedup = task_speedup(samples)) per_task.push_back(*speedup);
    if (const auto speedup = task_speedup_or_baseline(samples)) with_failures.push_back(*speedup);
    for (const ReportSample* sample : samples) {
      if (!sample->correct() || !sample->speed) continue;
      ++row.timed;
      if (sample->first_speed)
        shrinkages.push_back(sample->first_speed->speedup / sample->speed->speedup);
    }
    if (const auto speedup = task_best_retested(samples)) best.push_back(*speedup);
  }
  if (per_task.empty()) return;
  row.gmean_correct = statistics::geometric_mean_estimate(per_task);
  row.gmean_all = statistics::geometric_mean_estimate(with_failures);
  row.best_retested = statistics::geometric_mean_estimate(best);
  row.shrinkage = statistics::geometric_mean_estimate(shrinkages);
  row.median =
      statistics::Estimate{statistics::median(per_task), statistics::median_interval(per_task), 0,
                           static_cast<int>(per_task.size())};
  row.quartile_low = statistics::quantile(per_task, 0.25);
  row.quartile_high = statistics::quantile(per_task, 0.75);
}

ReportRow make_row(const ReportRun& run, const std::string& level, const TaskSamples& samples,
                   const std::vector<int>& ks) {
  ReportRow row;
  row.label = run.label;
  row.language = language_of(run.run);
  row.level = level;
  row.cost_dollars = 0;
  for (const ReportSample* sample : samples) {
    const SampleResult& result = sample->result;
    row.tokens += result.tokens;
    if (result.turns > 0) {
      if (row.cost_dollars && result.cost_dollars)
        *row.cost_dollars += *result.cost_dollars;
      else
        row.cost_dollars.reset();
    }
    if (result.state == SampleState::running) ++row.unfinished;
    if (result.state == SampleState::failed) ++row.failed;
    if (!sample->counted()) continue;
    ++row.samples;
    ++row.verdicts[outcome_name(result.outcome)];
  }
  const ByTask tasks = by_task(samples);
  row.tasks = static_cast<int>(tasks.size());
  add_rates(tasks, ks, row);
  add_scores(tasks, ks, row);
  add_speeds(tasks, row);
  return row;
}

/// Labels that differ: the agent, then with the language if there are two, then with the loop, then
/// with the folder, then with the run's number.
void label_runs(ReportData& data) {
  const auto distinct = [&] {
    std::set<std::string> labels;
    for (const ReportRun& run : data.runs) labels.insert(run.label);
    return labels.size() == data.runs.size();
  };
  for (ReportRun& run : data.runs) run.label = run.run.agent;
  if (distinct()) return;
  std::set<Language> languages;
  for (const ReportRun& run : data.runs) languages.insert(language_of(run.run));
  if (languages.size() > 1)
    for (ReportRun& run : data.runs) run.label += " " + std::string(name(language_of(run.run)));
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " " + run.run.loop;
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " (" + run.folder + ")";
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " #" + std::to_string(run.run.id);
}

}  // namespace

std::string ReportSample::reason() const {
  if (!counted()) return result.failure_class;
  if (result.finish.empty() || result.finish == "stop") return result.reason;
  return result.reason + (result.reason.empty() ? "" : ", ") + "answer ended by " + result.finish;
}

Result<ReportData> load_report(const std::vector<fs::path>& folders) {
  ReportData data;
  for (const fs::path& folder : folders) {
    if (!fs::exists(folder / "results.sqlite"))
      return Error{ErrorKind::not_found,
                   folder.string() +
                       " is no run directory (it has no results.sqlite); give the "
                       "--out folder of an assay run"};
    ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
    RunStore runs(*store);
    ASSIGN_OR_RETURN(const std::vector<RunRow> rows, runs.runs());
    if (rows.empty())
      return Error{ErrorKind::not_found, folder.string() +
                                             " holds no run of agents; fill it with "
                                             "assay run --out " +
                                             folder.string()};
    ASSIGN_OR_RETURN(const auto speed, speeds(*store));
    for (const RunRow& row : rows) {
      ReportRun& run = data.runs.emplace_back();
      run.run = row;
      run.folder = folder.string();
      ASSIGN_OR_RETURN(std::vector<SampleResult> results, runs.results(row.id));
      run.samples.reserve(results.size());
      for (SampleResult& result : results) {
        ReportSample& sample = run.samples.emplace_back();
        const auto speed_of = [&](const std::optional<int64_t>& id) {
          const auto found = id ? speed.find(*id) : speed.end();
          return found == speed.end() ? std::nullopt : std::optional(found->second);
        };
        sample.speed = speed_of(result.retest_id ? result.retest_id : result.evaluation_id);
        if (result.retest_id) sample.first_speed = speed_of(result.evaluation_id);
        sample.result = std::move(result);
      }
    }
  }
  label_runs(data);
  return data;
}

std::vector<ReportRow> report_rows(const ReportData& data, const std::vector<int>& ks) {
  std::vector<ReportRow> rows;
  for (const ReportRun& run : data.runs) {
    const TaskSamples all = all_samples(run);
    std::map<std::string, TaskSamples> levels;
    for (const ReportSample& sample : run.samples)
      levels[sample.result.suite + " " + std::to_string(sample.result.level)].push_back(&sample);
    rows.push_back(make_row(run, "all", all, ks));
    if (levels.size() < 2) continue;
    for (const auto& [level, samples] : levels) rows.push_back(make_row(run, level, samples, ks));
  }
  return rows;
}

}  // namespace assay
