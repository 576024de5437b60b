#include "reports/results.h"

#include <fmt/format.h>

#include "reports/table.h"

namespace assay {

std::string results_table(const std::vector<EvaluationSummary>& rows, size_t width) {
  Table table({"task", "candidate", "verdict", "reason", "cases", "error/bound", "instructions",
               "time", "explanation"},
              {false, false, false, false, true, true, true, true, false});
  for (const EvaluationSummary& row : rows)
    table.add({row.task_id, row.candidate, std::string(name(row.outcome)), row.reason,
               fmt::format("{}/{}", row.cases_correct, row.cases_total),
               row.max_bound_ratio > 0 ? fmt::format("{:.2g}", row.max_bound_ratio) : "-",
               row.lane_instructions > 0 ? short_count(row.lane_instructions) : "-",
               short_duration(row.wall_ms), row.explanation});
  return table.text(width);
}

Result<nlohmann::json> result_json(const Store& store, const EvaluationSummary& row) {
  nlohmann::json json = {{"task", row.task_id},
                         {"candidate", row.candidate},
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
                         {"started_at", row.started_at},
                         {"code_digest", row.source_digest},
                         {"evaluation_id", row.id},
                         {"run", store.folder().string()}};
  ASSIGN_OR_RETURN(const auto cases, store.cases(row.id));
  json["cases"] = nlohmann::json::array();
  for (const CaseSummary& result : cases)
    json["cases"].push_back({{"name", result.name},
                             {"outcome", name(result.outcome)},
                             {"reason", result.reason},
                             {"explanation", result.explanation},
                             {"max_bound_ratio", result.max_bound_ratio},
                             {"lane_instructions", result.lane_instructions},
                             {"global_sectors", result.global_sectors},
                             {"shared_bank_conflicts", result.shared_bank_conflicts},
                             {"record_ms", result.record_ms},
                             {"check_ms", result.check_ms}});
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
