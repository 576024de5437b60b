// How many tasks and samples a comparison of two agents takes, before it is paid for.
//
// The mean difference of two agents over n tasks, with k_a and k_b samples of each task, has the
// variance (between + within_a / k_a + within_b / k_b) / n: more samples help only against the
// scatter within a task, more tasks against all of it (Miller, arXiv 2411.00640).
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "reports/run_report.h"

namespace assay {

/// Variances of pass@1. The defaults are those of success rates that are spread evenly from 0 to 1
/// over the tasks and correlate with 0.5 between the two agents.
struct Spread {
  double between = 1.0 / 12;  // over tasks, of the difference of the two agents' true rates
  double within_a = 1.0 / 6;  // of one sample around its task's rate, averaged over tasks
  double within_b = 1.0 / 6;
};

/// z(1 - 0.05/2) + z(power): a difference of this many standard errors is found at the 95 % level
/// with the chance `power`.
double detection_factor(double power);

/// Tasks, rounded up, with `samples` of each task and agent, that find `difference` with the chance
/// `power`. At least 2.
int tasks_needed(const Spread& spread, int samples, double difference, double power);

/// The difference that `tasks` tasks find with the chance `power`.
double smallest_difference(const Spread& spread, int samples, int tasks, double power);

/// Estimated from a pilot run, or from two on the same tasks. With one, the other agent is taken to
/// scatter alike and to correlate with 0.5. invalid where no task has two samples with verdicts, or
/// fewer than 2 tasks have any.
Result<Spread> spread_of(const ReportRun& a, const ReportRun* b);

}  // namespace assay
