#include "reports/speed.h"

#include <cmath>

#include "reports/statement.h"

namespace assay {

namespace {

/// Means over the timed cases of one evaluation, as natural logarithms.
struct Means {
  double count = 0;
  double log_speedup = 0;
  double squared_half_widths = 0;
  double log_over_expert = 0;
  double with_expert = 0;
  double of_light = 0;
  double with_limit = 0;
  double median_us = 0;
};

Speed speed_of(const Means& means) {
  Speed speed;
  const double middle = means.log_speedup / means.count;
  const double half_width = std::sqrt(means.squared_half_widths) / means.count;
  speed.speedup = std::exp(middle);
  speed.interval = {std::exp(middle - half_width), std::exp(middle + half_width)};
  if (means.with_expert == means.count)
    speed.over_expert = std::exp(means.log_over_expert / means.count);
  if (means.count == 1) speed.median_us = means.median_us;
  if (means.with_limit == means.count) speed.speed_of_light = means.of_light / means.count;
  return speed;
}

}  // namespace

Result<std::map<int64_t, Speed>> speeds(const Store& store, std::optional<int64_t> evaluation_id) {
  const std::lock_guard lock(store.connection_mutex());
  const std::string sql =
      "SELECT c.evaluation_id, log_speedup, (log_high - log_low) / 2,"
      " log_speedup - expert_log_speedup, limit_us,"
      " (SELECT avg(t.candidate_us) FROM timings t WHERE t.case_id = s.case_id)"
      " FROM speeds s JOIN cases c ON c.id = s.case_id"
      " JOIN evaluations e ON e.id = c.evaluation_id WHERE e.outcome = 'correct'";
  Statement query(store.connection(), evaluation_id ? sql + " AND c.evaluation_id = ?" : sql);
  if (evaluation_id) query << *evaluation_id;
  std::map<int64_t, Means> all;
  while (query.step()) {
    Means& means = all[query.integer(0)];
    means.count += 1;
    means.log_speedup += query.real(1);
    means.squared_half_widths += query.real(2) * query.real(2);
    if (!query.is_null(3)) {
      means.log_over_expert += query.real(3);
      means.with_expert += 1;
    }
    means.median_us = query.real(5);
    if (query.real(4) > 0 && means.median_us > 0) {
      means.of_light += query.real(4) / means.median_us;
      means.with_limit += 1;
    }
  }
  RETURN_IF_ERROR(query.error());
  std::map<int64_t, Speed> result;
  for (const auto& [id, means] : all) result[id] = speed_of(means);
  return result;
}

}  // namespace assay
