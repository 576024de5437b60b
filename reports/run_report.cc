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

#include "evaluator/score/score.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

using ByTask = std::map<std::string, std::vector<const ReportSample*>>;

std::string outcome_name(Outcome outcome) { return std::string(name(outcome)); }

ByTask by_task(const std::vector<const ReportSample*>& samples) {
  ByTask tasks;
  for (const ReportSample* sample : samples) tasks[sample->result.task_id].push_back(sample);
  return tasks;
}

/// The mean over tasks with an interval from resampling them.
RateAtK over_tasks(const std::vector<double>& values, int k) {
  RateAtK result;
  result.k = k;
  result.tasks = static_cast<int>(values.size());
  if (values.empty()) return result;
  double sum = 0;
  for (const double value : values) sum += value;
  result.value = sum / static_cast<double>(values.size());
  result.interval = statistics::bootstrap_mean(values);
  return result;
}

/// The mean over tasks of pass@k, with `counts` and `succeeds` saying which samples are n and c.
template <typename Counts, typename Succeeds>
RateAtK rate(const ByTask& tasks, int k, const Counts& counts, const Succeeds& succeeds) {
  std::vector<double> values;
  for (const auto& [task, samples] : tasks) {
    const int n = static_cast<int>(std::ranges::count_if(samples, counts));
    const int c = static_cast<int>(std::ranges::count_if(
        samples, [&](const ReportSample* sample) { return counts(sample) && succeeds(sample); }));
    if (const auto value = statistics::pass_at_k(n, c, k)) values.push_back(*value);
  }
  RateAtK result = over_tasks(values, k);
  // Equal values have a bootstrap interval of no width, which would claim certainty.
  if (result.value && std::ranges::all_of(values, [&](double v) { return v == values[0]; }))
    result.interval = statistics::wilson_interval(
        static_cast<int>(std::lround(*result.value * result.tasks)), result.tasks);
  return result;
}

bool counted(const ReportSample* sample) { return sample->counted(); }
bool correct(const ReportSample* sample) { return sample->correct(); }

/// A correct sample without a speed says nothing about fast_p above 0.
bool counted_for_speed(const ReportSample* sample) {
  return sample->counted() && (!sample->correct() || sample->speed.has_value());
}

void add_rates(const ByTask& tasks, const std::vector<int>& ks, ReportRow& row) {
  bool any_correct = false, any_timed = false;
  for (const auto& [task, samples] : tasks)
    for (const ReportSample* sample : samples) {
      any_correct = any_correct || sample->correct();
      any_timed = any_timed || (sample->correct() && sample->speed);
    }
  for (const int k : ks) {
    row.pass.push_back(rate(tasks, k, counted, correct));
    for (const double p : kFastThresholds) {
      const auto fast = [p](const ReportSample* sample) {
        return sample->correct() && (p == 0 || sample->speed->speedup > p);
      };
      const auto surely = [p](const ReportSample* sample) {
        return sample->correct() && (p == 0 || sample->speed->interval.low > p);
      };
      RateAtK value =
          p == 0 ? rate(tasks, k, counted, fast) : rate(tasks, k, counted_for_speed, fast);
      // Where nothing was timed, the failures alone would make it 0.
      const bool unknown = p > 0 && any_correct && !any_timed;
      if (unknown) value = {};
      value.p = p;
      value.k = k;
      row.fast.push_back(value);
      if (k != 1) continue;
      value = p == 0 ? rate(tasks, k, counted, surely) : rate(tasks, k, counted_for_speed, surely);
      if (unknown) value = {};
      value.p = p;
      row.fast_low.push_back(value);
    }
  }
}

/// What a sample is worth between the naive kernel (0) and the expert's (1); a failure is worth the
/// naive kernel. Absent where it has no verdict, or is correct without speed or expert's speed.
std::optional<double> worth(const ReportSample& sample) {
  if (!sample.counted()) return std::nullopt;
  if (!sample.correct()) return 0;
  if (!sample.speed || !sample.speed->over_expert || !(*sample.speed->over_expert > 0))
    return std::nullopt;
  return normalised_score(sample.speed->speedup,
                          sample.speed->speedup / *sample.speed->over_expert);
}

/// Where nothing was timed there is no score: the failures alone would make it 0.
void add_scores(const ByTask& tasks, const std::vector<int>& ks, ReportRow& row) {
  const auto timed = [](const ReportSample* sample) { return sample->correct() && worth(*sample); };
  const bool any_timed = std::ranges::any_of(
      tasks, [&](const auto& task) { return std::ranges::any_of(task.second, timed); });
  for (const int k : ks) {
    std::vector<double> values;
    for (const auto& [task, samples] : tasks) {
      std::vector<double> scores;
      for (const ReportSample* sample : samples)
        if (const auto score = worth(*sample)) scores.push_back(*score);
      if (const auto value = statistics::best_of_k(scores, k)) values.push_back(*value);
    }
    row.score.push_back(any_timed ? over_tasks(values, k) : over_tasks({}, k));
  }
}

/// The geometric mean of a task's correct, timed samples.
std::optional<double> task_speedup(const std::vector<const ReportSample*>& samples) {
  double sum = 0;
  int count = 0;
  for (const ReportSample* sample : samples)
    if (sample->correct() && sample->speed && sample->speed->speedup > 0) {
      sum += std::log(sample->speed->speedup);
      ++count;
    }
  if (count == 0) return std::nullopt;
  return std::exp(sum / count);
}

void add_speeds(const ByTask& tasks, ReportRow& row) {
  std::vector<double> per_task, with_failures, all;
  for (const auto& [task, samples] : tasks) {
    if (std::ranges::none_of(samples, counted)) continue;
    const auto speedup = task_speedup(samples);
    if (speedup) per_task.push_back(*speedup);
    // Correct but not timed is not a failure, and not 1.0x either.
    if (speedup || std::ranges::none_of(samples, correct))
      with_failures.push_back(speedup.value_or(1.0));
    for (const ReportSample* sample : samples)
      if (sample->correct() && sample->speed) all.push_back(sample->speed->speedup);
  }
  row.timed = static_cast<int>(all.size());
  if (all.empty()) return;
  row.gmean_correct = statistics::geometric_mean_estimate(per_task);
  row.gmean_all = statistics::geometric_mean_estimate(with_failures);
  row.median_speedup = statistics::median(all);
  row.quartile_low = statistics::quantile(all, 0.25);
  row.quartile_high = statistics::quantile(all, 0.75);
}

ReportRow make_row(const ReportRun& run, const std::string& level,
                   const std::vector<const ReportSample*>& samples, const std::vector<int>& ks) {
  ReportRow row;
  row.label = run.label;
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

/// Labels that differ: the agent, then with the loop, then with the folder, then with the run's
/// number.
void label_runs(ReportData& data) {
  const auto distinct = [&] {
    std::set<std::string> labels;
    for (const ReportRun& run : data.runs) labels.insert(run.label);
    return labels.size() == data.runs.size();
  };
  for (ReportRun& run : data.runs) run.label = run.run.agent;
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " " + run.run.loop;
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " (" + run.folder + ")";
  if (distinct()) return;
  for (ReportRun& run : data.runs) run.label += " #" + std::to_string(run.run.id);
}

}  // namespace

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
        if (result.evaluation_id)
          if (const auto found = speed.find(*result.evaluation_id); found != speed.end())
            sample.speed = found->second;
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
    std::vector<const ReportSample*> all;
    std::map<std::string, std::vector<const ReportSample*>> levels;
    for (const ReportSample& sample : run.samples) {
      all.push_back(&sample);
      levels[sample.result.suite + " " + std::to_string(sample.result.level)].push_back(&sample);
    }
    rows.push_back(make_row(run, "all", all, ks));
    if (levels.size() < 2) continue;
    for (const auto& [level, samples] : levels) rows.push_back(make_row(run, level, samples, ks));
  }
  return rows;
}

Result<RunComparison> compare_runs(const ReportRun& a, const ReportRun& b) {
  RunComparison comparison;
  comparison.a = a.label;
  comparison.b = b.label;
  const auto pointers = [](const ReportRun& run) {
    std::vector<const ReportSample*> samples;
    for (const ReportSample& sample : run.samples)
      if (sample.counted()) samples.push_back(&sample);
    return by_task(samples);
  };
  const ByTask of_a = pointers(a), of_b = pointers(b);
  std::vector<double> pass_a, pass_b, log_ratio;
  for (const auto& [task, samples_a] : of_a) {
    const auto found = of_b.find(task);
    if (found == of_b.end()) continue;
    const auto pass = [](const std::vector<const ReportSample*>& samples) {
      return static_cast<double>(std::ranges::count_if(samples, correct)) /
             static_cast<double>(samples.size());
    };
    pass_a.push_back(pass(samples_a));
    pass_b.push_back(pass(found->second));
    const double difference = pass_a.back() - pass_b.back();
    ++(difference > 0 ? comparison.wins : difference < 0 ? comparison.losses : comparison.ties);
    const auto speed_a = task_speedup(samples_a), speed_b = task_speedup(found->second);
    if (speed_a && speed_b) log_ratio.push_back(std::log(*speed_a / *speed_b));
  }
  if (pass_a.empty())
    return Error{ErrorKind::not_found,
                 a.label + " and " + b.label + " have no task in common with verdicts in both"};
  comparison.tasks = static_cast<int>(pass_a.size());
  comparison.pass_difference = statistics::paired_difference(pass_a, pass_b);
  comparison.sign_p = statistics::sign_test(comparison.wins, comparison.wins + comparison.losses);
  comparison.timed_tasks = static_cast<int>(log_ratio.size());
  if (!log_ratio.empty()) {
    statistics::Estimate ratio = statistics::mean(log_ratio);
    ratio.value = std::exp(ratio.value);
    ratio.interval = {std::exp(ratio.interval.low), std::exp(ratio.interval.high)};
    comparison.speed_ratio = ratio;
  }
  return comparison;
}

}  // namespace assay
