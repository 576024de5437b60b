#include "reports/retest.h"

#include <algorithm>
#include <map>

namespace assay {

namespace {

/// By task, each evaluation once, with the speed that it was first found to have.
std::map<std::string, std::vector<Winner>> timed_candidates(const ReportRun& run) {
  std::map<std::string, std::map<int64_t, Winner>> tasks;
  for (const ReportSample& sample : run.samples) {
    const SampleResult& result = sample.result;
    const std::optional<Speed>& first = sample.first_speed ? sample.first_speed : sample.speed;
    if (!sample.counted() || !result.evaluation_id || !first) continue;
    tasks[result.task_id][*result.evaluation_id] = {*result.evaluation_id, result.task_id, *first,
                                                    result.retest_id};
  }
  std::map<std::string, std::vector<Winner>> candidates;
  for (const auto& [task, evaluations] : tasks)
    for (const auto& [id, candidate] : evaluations) candidates[task].push_back(candidate);
  return candidates;
}

}  // namespace

std::vector<Winner> winners(const ReportRun& run, const WinnerOptions& options) {
  std::vector<Winner> chosen;
  for (auto& [task, candidates] : timed_candidates(run)) {
    std::ranges::stable_sort(candidates, std::greater<>(),
                             [](const Winner& one) { return one.first.speedup; });
    const double low = candidates.front().first.interval.low;
    size_t kept = 0;
    for (const Winner& candidate : candidates) {
      const bool tells_apart = candidate.first.interval.high < low;
      if (kept == options.most || (kept >= options.best && tells_apart)) break;
      chosen.push_back(candidate);
      ++kept;
    }
  }
  return chosen;
}

}  // namespace assay
