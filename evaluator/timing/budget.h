// How much time a timed case may take, and how exact it must be.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay {

struct TimingBudget {
  std::string name;
  double burst_ms = 2.5;       // aim for K * t of one burst
  double cap_seconds = 2;      // timed GPU time per case
  double duty = 0.5;           // timed work as a share of wall time, at most
  double half_width = 0.001;   // of the 95 % interval of the log speedup
  int first_look_blocks = 24;  // blocks before the stopping rule is asked
  double warm_up_min_ms = 300;
  double warm_up_cap_ms = 3000;
  bool verify_every_burst = true;  // else only bursts in which the candidate runs first
  bool fresh_process = true;       // measured in a process that has run nothing before
  int processes = 1;
};

/// "rl" (about 0.3 s of GPU per case), "benchmark" (2 s) or "leaderboard" (10 s, three processes).
std::optional<TimingBudget> budget_from_name(std::string_view name);

}  // namespace assay
