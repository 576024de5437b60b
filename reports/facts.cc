#include "reports/facts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/statement.h"
#include "sandbox/sandbox.h"

namespace assay {

std::string options_text(const EvaluateOptions& options) {
  nlohmann::json json = {{"cases", options.cases},
                         {"repeats", options.repeats},
                         {"budget", options.budget},
                         {"instruction_budget", options.run.instruction_budget},
                         {"deadline_seconds", options.run.deadline_seconds}};
  if (options.seed) json["seed"] = *options.seed;
  if (options.language) json["language"] = name(*options.language);
  return json.dump();
}

nlohmann::json isolation_json() {
  const sandbox::Isolation& isolation = sandbox::isolation();
  nlohmann::json degraded = nlohmann::json::array();
  for (const sandbox::Degradation& degradation : isolation.degraded)
    degraded.push_back({{"property", degradation.property},
                        {"wanted", degradation.wanted},
                        {"got", degradation.got},
                        {"reason", degradation.reason}});
  return {{"tier", isolation.tier},       {"landlock_abi", isolation.landlock_abi},
          {"seccomp", isolation.seccomp}, {"namespaces", isolation.namespaces},
          {"cgroup", isolation.cgroup},   {"degraded", degraded}};
}

std::string facts_json(const Evaluator& evaluator) {
  return nlohmann::json{{"device", evaluator.device()},
                        {"toolchain", evaluator.toolchain()},
                        {"isolation", isolation_json()}}
      .dump();
}

namespace {

Result<std::vector<TensorComparison>> comparisons(const Store& store, int64_t evaluation_id,
                                                  const std::string& case_name) {
  const std::lock_guard lock(store.connection_mutex());
  Statement query(store.connection(),
                  "SELECT tensor, elements, mismatches, nonfinite_mismatches, first_index,"
                  " max_absolute, max_bound_ratio, rel_frobenius FROM comparisons"
                  " JOIN cases ON cases.id = comparisons.case_id"
                  " WHERE evaluation_id = ? AND name = ? ORDER BY comparisons.rowid");
  query << evaluation_id << case_name;
  std::vector<TensorComparison> rows;
  while (query.step()) {
    TensorComparison& row = rows.emplace_back();
    row.tensor = query.text(0);
    row.comparison.elements = static_cast<uint64_t>(query.integer(1));
    row.comparison.mismatches = static_cast<uint64_t>(query.integer(2));
    row.comparison.nonfinite_mismatches = static_cast<uint64_t>(query.integer(3));
    if (!query.is_null(4))
      row.comparison.first = ElementError{static_cast<uint64_t>(query.integer(4)), 0, 0};
    row.comparison.max_absolute = query.real(5);
    row.comparison.max_bound_ratio = query.real(6);
    row.comparison.rel_frobenius = query.real(7);
  }
  RETURN_IF_ERROR(query.error());
  return rows;
}

}  // namespace

Result<nlohmann::json> isolation_of(const Store& store, int64_t evaluation_id) {
  const std::lock_guard lock(store.connection_mutex());
  Statement query(store.connection(),
                  "SELECT json FROM facts JOIN evaluations ON facts.digest = facts_digest"
                  " WHERE evaluations.id = ?");
  query << evaluation_id;
  nlohmann::json facts;
  if (query.step()) facts = nlohmann::json::parse(query.text(0), nullptr, false);
  RETURN_IF_ERROR(query.error());
  return facts.is_object() ? facts.value("isolation", nlohmann::json()) : nlohmann::json();
}

std::string isolation_text(const nlohmann::json& isolation) {
  try {
    const std::string cgroup = isolation.at("cgroup");
    std::string text = fmt::format(
        "tier {} ({}), seccomp {}, Landlock ABI {}, cgroup {}", isolation.at("tier").get<int>(),
        isolation.at("namespaces") ? "namespaces" : "no namespaces",
        isolation.at("seccomp") ? "on" : "off", isolation.at("landlock_abi").get<int>(),
        cgroup.empty() ? "none" : cgroup);
    for (const nlohmann::json& each : isolation.at("degraded"))
      text +=
          fmt::format("\n         - {}: wanted {}, got {}: {}",
                      each.at("property").get<std::string>(), each.at("wanted").get<std::string>(),
                      each.at("got").get<std::string>(), each.at("reason").get<std::string>());
    return text;
  } catch (const nlohmann::json::exception&) {
    return "unknown";
  }
}

Result<Evaluation> read_evaluation(const Store& store, const EvaluationSummary& summary) {
  Evaluation evaluation;
  evaluation.task_id = summary.task_id;
  evaluation.candidate = summary.candidate;
  evaluation.outcome = summary.outcome;
  evaluation.reason = summary.reason;
  evaluation.explanation = summary.explanation;
  ASSIGN_OR_RETURN(evaluation.diagnostics, store.diagnostics(summary.id));
  ASSIGN_OR_RETURN(const std::vector<CaseSummary> cases, store.cases(summary.id));
  for (const CaseSummary& row : cases) {
    CaseResult& result = evaluation.cases.emplace_back();
    result.name = row.name;
    result.report.outcome = row.outcome;
    result.report.reason = row.reason;
    result.report.explanation = row.explanation;
    ASSIGN_OR_RETURN(result.report.comparisons, comparisons(store, summary.id, row.name));
  }
  return evaluation;
}

}  // namespace assay
