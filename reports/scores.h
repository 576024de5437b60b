// Scores of timed cases, computed from what the store holds.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "reports/timings.h"

namespace assay {

struct CaseScore {
  std::optional<Speedup> over_expert;    // above 1: faster than the expert
  std::optional<double> normalised;      // 0 naive, 1 expert, on a log scale
  std::optional<double> speed_of_light;  // share of what the data sheet allows
  std::optional<double> peak_fraction;   // share of what this device was measured to reach
  std::optional<double> sol;             // SOL-ExecBench's score; the limit includes launch cost
};

CaseScore score(const CaseSpeed& speed);

/// Times, speedups and scores of a timed case, for JSON lines; null where there is none.
nlohmann::json speed_json(const CaseSpeed& speed);

}  // namespace assay
