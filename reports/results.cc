#include "reports/results.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/facts.h"
#include "reports/scores.h"
#include "reports/table.h"

namespace assay {

std::string results_table(const std::vector<EvaluationSummary>& rows, size_t width) {
  const bool timed = std::ranges::any_of(
      rows, [](const EvaluationSummary& row) { return row.speedup.has_value(); });
  const bool languages = std::ranges::any_of(
      rows, [&](const EvaluationSummary& row) { return row.language != rows[0].language; });
  std::vector<std::string> header = {"task", "candidate"};
  if (languages) header.emplace_back("language");
  header.insert(header.end(), {"verdict", "reason"});
  std::vector<bool> right(header.size(), false);
  header.insert(header.end(), {"cases", "error/bound"});
  for (const char* column : {"vs naive", "vs expert", "of light"})
    if (timed) header.emplace_back(column);
  if (!timed) header.emplace_back("instructions");
  header.insert(header.end(), {"time", "explanation"});
  right.resize(header.size() - 1, true);
  right.push_back(false);
  Table table(std::move(header), std::move(right));
  const auto ratio = [](const std::optional<double>& value) {
    return value ? fmt::format("{:.3g}x", *value) : "-";
  };
  for (const EvaluationSummary& row : rows) {
    std::vector<std::string> cells = {row.task_id, row.candidate};
    if (languages) cells.push_back(row.language);
    cells.insert(cells.end(),
                 {std::string(name(row.outcome)), row.reason,
                  fmt::format("{}/{}", row.cases_correct, row.cases_total),
                  row.max_bound_ratio > 0 ? fmt::format("{:.2g}", row.max_bound_ratio) : "-"});
    if (timed) {
      cells.push_back(ratio(row.speedup));
      cells.push_back(ratio(row.speedup_over_expert));
      cells.push_back(row.speed_of_light ? fmt::format("{:.0f} %", 100 * *row.speed_of_light)
                                         : "-");
    } else {
      cells.push_back(row.lane_instructions > 0 ? short_count(row.lane_instructions) : "-");
    }
    cells.push_back(short_duration(row.wall_ms));
    cells.push_back(row.explanation);
    table.add(std::move(cells));
  }
  return table.text(width);
}

namespace {

nlohmann::json optional_json(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

}  // namespace

Result<nlohmann::json> result_json(const Store& store, const EvaluationSummary& row) {
  nlohmann::json json = {{"task", row.task_id},
                         {"candidate", row.candidate},
                         {"language", row.language},
                         {"outcome", name(row.outcome)},
                         {"reason", row.reason},
                         {"explanation", row.explanation},
                         {"device", row.device_id},
                         {"cases_correct", row.cases_correct},
                         {"cases_total", row.cases_total},
                         {"max_bound_ratio", row.max_bound_ratio},
                         {"lane_instructions", row.lane_instructions},
                         {"compile_ms", row.compile_ms},
                         {"check_ms", row.check_ms},
                         {"wall_ms", row.wall_ms},
                         {"speedup", optional_json(row.speedup)},
                         {"speedup_over_expert", optional_json(row.speedup_over_expert)},
                         {"speed_of_light", optional_json(row.speed_of_light)},
                         {"started_at", row.started_at},
                         {"code_digest", row.source_digest},
                         {"evaluation_id", row.id},
                         {"run", store.folder().string()}};
  ASSIGN_OR_RETURN(json["isolation"], isolation_of(store, row.id));
  ASSIGN_OR_RETURN(const auto cases, store.cases(row.id));
  json["cases"] = nlohmann::json::array();
  for (const CaseSummary& result : cases)
    json["cases"].push_back(
        {{"name", result.name},
         {"outcome", name(result.outcome)},
         {"reason", result.reason},
         {"explanation", result.explanation},
         {"max_bound_ratio", result.max_bound_ratio},
         {"lane_instructions", result.lane_instructions},
         {"global_sectors", result.global_sectors},
         {"shared_bank_conflicts", result.shared_bank_conflicts},
         {"record_ms", result.record_ms},
         {"check_ms", result.check_ms},
         {"kernels_needed",
          result.kernels_needed ? nlohmann::json(*result.kernels_needed) : nullptr},
         {"notes", result.notes},
         {"speed", result.speed ? speed_json(*result.speed) : nullptr}});
  ASSIGN_OR_RETURN(const auto diagnostics, store.diagnostics(row.id));
  json["diagnostics"] = nlohmann::json::array();
  for (const Diagnostic& diagnostic : diagnostics)
    json["diagnostics"].push_back({{"severity", name(diagnostic.severity)},
                                   {"line", diagnostic.line},
                                   {"column", diagnostic.column},
                                   {"message", diagnostic.message}});
  return json;
}

}  // namespace assay
