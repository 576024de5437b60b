// Speeds of evaluations, as reports and agents' feedback read them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/result.h"
#include "evaluator/timing/statistics.h"
#include "reports/store.h"

namespace assay {

struct Speed {
  double speedup = 0;                 // over the naive kernel; geometric mean over the timed cases
  statistics::Interval interval;      // 95 %, of speedup
  std::optional<double> over_expert;  // T_expert / T
  std::optional<double> median_us;    // of one call, where there is one timed case
  std::optional<double> speed_of_light;  // fraction of the physical limit, in (0, 1]
};

/// The speeds of all evaluations that were timed, or of one, by evaluation id. An evaluation that
/// was not timed (every one on the virtual device) is not in the map: not measured is not 1.0x.
Result<std::map<int64_t, Speed>> speeds(const Store& store,
                                        std::optional<int64_t> evaluation_id = std::nullopt);

}  // namespace assay
