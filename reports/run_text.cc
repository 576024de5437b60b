// The result table as text, Markdown, CSV and JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/run_report.h"
#include "reports/table.h"

namespace assay {

namespace {

std::string percent(const RateAtK& rate) {
  if (!rate.value) return "-";
  return fmt::format("{:.1f} [{:.0f}, {:.0f}]", 100 * *rate.value, 100 * rate.interval.low,
                     100 * rate.interval.high);
}

std::string times(const std::optional<statistics::Estimate>& estimate) {
  if (!estimate) return "-";
  if (!std::isfinite(estimate->interval.high)) return fmt::format("{:.3g}x", estimate->value);
  return fmt::format("{:.3g}x [{:.3g}, {:.3g}]", estimate->value, estimate->interval.low,
                     estimate->interval.high);
}

std::string verdict_text(const ReportRow& row) {
  std::vector<std::string> counts;
  for (const auto& [verdict, count] : row.verdicts)
    counts.push_back(fmt::format("{} {}", count, verdict));
  if (row.failed > 0) counts.push_back(fmt::format("{} failed", row.failed));
  if (row.unfinished > 0) counts.push_back(fmt::format("{} unfinished", row.unfinished));
  return fmt::format("{}", fmt::join(counts, ", "));
}

/// Whether there is anything to show for score@k.
bool scored(const std::vector<ReportRow>& rows) {
  return std::ranges::any_of(rows, [](const ReportRow& row) {
    return std::ranges::any_of(row.score,
                               [](const RateAtK& score) { return score.value.has_value(); });
  });
}

/// Whether any candidate has a speed: without one, the columns of speeds are left out.
bool timed(const std::vector<ReportRow>& rows) {
  return std::ranges::any_of(rows, [](const ReportRow& row) { return row.timed > 0; });
}

/// Whether some candidates were timed a second time.
bool retested(const std::vector<ReportRow>& rows) {
  return std::ranges::any_of(rows, [](const ReportRow& row) { return row.shrinkage.has_value(); });
}

/// Whether candidates were asked for in more than one language: else a column would say the same
/// in every row.
bool several_languages(const std::vector<ReportRow>& rows) {
  return std::ranges::any_of(
      rows, [&](const ReportRow& row) { return row.language != rows[0].language; });
}

std::vector<std::string> header(const std::vector<ReportRow>& rows) {
  std::vector<std::string> cells = {"agent"};
  if (several_languages(rows)) cells.emplace_back("language");
  cells.insert(cells.end(), {"level", "tasks", "samples"});
  if (rows.empty()) return cells;
  for (const RateAtK& rate : rows[0].pass) cells.push_back(fmt::format("pass@{} %", rate.k));
  if (timed(rows)) {
    for (const RateAtK& rate : rows[0].fast)
      if (rate.k == 1 && rate.p > 0) cells.push_back(fmt::format("fast_{:g}@1 %", rate.p));
    if (scored(rows))
      for (const RateAtK& score : rows[0].score) cells.push_back(fmt::format("score@{}", score.k));
    for (const char* cell : {"timed", "gmean correct", "gmean all", "median"})
      cells.emplace_back(cell);
  }
  if (retested(rows)) cells.emplace_back("best");
  for (const char* cell : {"tokens", "cost", "verdicts"}) cells.emplace_back(cell);
  return cells;
}

void add_speed_cells(const ReportRow& row, bool with_scores, std::vector<std::string>& cells) {
  for (const RateAtK& rate : row.fast)
    if (rate.k == 1 && rate.p > 0) cells.push_back(percent(rate));
  for (const RateAtK& score : with_scores ? row.score : std::vector<RateAtK>())
    cells.push_back(score.value ? fmt::format("{:.2f} [{:.2f}, {:.2f}]", *score.value,
                                              score.interval.low, score.interval.high)
                                : "-");
  cells.push_back(std::to_string(row.timed));
  cells.push_back(times(row.gmean_correct));
  cells.push_back(times(row.gmean_all));
  cells.push_back(times(row.median));
}

std::vector<std::string> cells_of(const ReportRow& row, const std::vector<ReportRow>& rows) {
  std::vector<std::string> cells = {row.label};
  if (several_languages(rows)) cells.emplace_back(name(row.language));
  cells.insert(cells.end(), {row.level, std::to_string(row.tasks), std::to_string(row.samples)});
  for (const RateAtK& rate : row.pass) cells.push_back(percent(rate));
  if (timed(rows)) add_speed_cells(row, scored(rows), cells);
  if (retested(rows)) cells.push_back(times(row.best_retested));
  cells.push_back(short_count(static_cast<uint64_t>(row.tokens)));
  cells.push_back(row.cost_dollars ? fmt::format("${:.2f}", *row.cost_dollars) : "unknown");
  cells.push_back(verdict_text(row));
  return cells;
}

/// A cell that spreadsheets take for text, never for a formula.
std::string csv_cell(std::string cell) {
  if (!cell.empty() && std::string("=+-@\t\r").find(cell[0]) != std::string::npos && cell != "-")
    cell.insert(cell.begin(), '\'');
  if (cell.find_first_of(",\"\n\r") == std::string::npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string csv(const std::vector<ReportRow>& rows) {
  std::string text =
      "agent,level,tasks,samples,failed,unfinished,statistic,k,p,value,low,high,standard_error,"
      "tasks_used,language\n";
  const auto line = [&](const ReportRow& row, const char* statistic, const RateAtK& rate) {
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_cell(row.label),
                        csv_cell(row.level), row.tasks, row.samples, row.failed, row.unfinished,
                        statistic, rate.k, rate.p, rate.value ? fmt::format("{}", *rate.value) : "",
                        rate.value ? fmt::format("{}", rate.interval.low) : "",
                        rate.value ? fmt::format("{}", rate.interval.high) : "",
                        rate.value && std::isfinite(rate.standard_error)
                            ? fmt::format("{}", rate.standard_error)
                            : "",
                        rate.tasks, name(row.language));
  };
  const auto speed = [&](const ReportRow& row, const char* statistic,
                         const std::optional<statistics::Estimate>& estimate) {
    if (!estimate) return;
    RateAtK rate;
    rate.k = 0;
    rate.value = estimate->value;
    rate.interval = estimate->interval;
    rate.standard_error = estimate->standard_error;
    rate.tasks = estimate->count;
    line(row, statistic, rate);
  };
  for (const ReportRow& row : rows) {
    for (const RateAtK& rate : row.pass) line(row, "pass@k", rate);
    for (const RateAtK& rate : row.fast) line(row, "fast_p@k", rate);
    for (const RateAtK& rate : row.fast_low) line(row, "fast_p@k of lower bounds", rate);
    for (const RateAtK& score : row.score) line(row, "score@k", score);
    for (const RateAtK& score : row.score_with_replacement)
      line(row, "score@k with replacement", score);
    speed(row, "gmean_correct", row.gmean_correct);
    speed(row, "gmean_all", row.gmean_all);
    speed(row, "median", row.median);
    speed(row, "best_retested", row.best_retested);
    speed(row, "shrinkage", row.shrinkage);
  }
  return text;
}

nlohmann::json rate_json(const RateAtK& rate) {
  nlohmann::json json = {{"k", rate.k}, {"p", rate.p}, {"tasks", rate.tasks}, {"value", nullptr}};
  if (rate.value) {
    json["value"] = *rate.value;
    json["low"] = rate.interval.low;
    json["high"] = rate.interval.high;
    if (std::isfinite(rate.standard_error)) json["standard_error"] = rate.standard_error;
  }
  return json;
}

nlohmann::json estimate_json(const std::optional<statistics::Estimate>& estimate) {
  if (!estimate) return nullptr;
  nlohmann::json json = {{"value", estimate->value}, {"count", estimate->count}};
  if (std::isfinite(estimate->interval.high)) {
    json["low"] = estimate->interval.low;
    json["high"] = estimate->interval.high;
    if (estimate->standard_error > 0) json["log_standard_error"] = estimate->standard_error;
  }
  return json;
}

nlohmann::json rows_json(const ReportData& data, const std::vector<ReportRow>& rows) {
  nlohmann::json json = {
      {"version", 2}, {"runs", nlohmann::json::array()}, {"rows", nlohmann::json::array()}};
  for (const ReportRun& run : data.runs)
    json["runs"].push_back({{"label", run.label},
                            {"agent", run.run.agent},
                            {"loop", run.run.loop},
                            {"suite", run.run.suite},
                            {"language", name(language_of(run.run))},
                            {"device", run.run.device_id},
                            {"arch", run.run.arch},
                            {"folder", run.folder},
                            {"stopped", run.run.stopped},
                            {"started_at", run.run.started_at}});
  for (const ReportRow& row : rows) {
    nlohmann::json one = {{"agent", row.label},
                          {"language", name(row.language)},
                          {"level", row.level},
                          {"tasks", row.tasks},
                          {"samples", row.samples},
                          {"failed", row.failed},
                          {"unfinished", row.unfinished},
                          {"verdicts", row.verdicts},
                          {"timed", row.timed},
                          {"tokens", row.tokens},
                          {"gmean_correct", estimate_json(row.gmean_correct)},
                          {"gmean_all", estimate_json(row.gmean_all)},
                          {"best_retested", estimate_json(row.best_retested)},
                          {"shrinkage", estimate_json(row.shrinkage)},
                          {"median", estimate_json(row.median)},
                          {"cost_dollars", nullptr}};
    if (row.cost_dollars) one["cost_dollars"] = *row.cost_dollars;
    if (row.median)
      one.update({{"quartile_low", row.quartile_low}, {"quartile_high", row.quartile_high}});
    for (const auto& [key, rates] :
         {std::pair{"pass_at_k", &row.pass}, std::pair{"fast_p_at_k", &row.fast},
          std::pair{"fast_p_at_k_lower_bound", &row.fast_low}, std::pair{"score_at_k", &row.score},
          std::pair{"score_at_k_with_replacement", &row.score_with_replacement}}) {
      one[key] = nlohmann::json::array();
      for (const RateAtK& rate : *rates) one[key].push_back(rate_json(rate));
    }
    json["rows"].push_back(std::move(one));
  }
  return json;
}

std::string markdown(const std::vector<ReportRow>& rows) {
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const std::string& cell : cells) {
      text += ' ';
      for (const char c : cell) {
        if (c == '|') text += '\\';
        text += c == '\n' ? ' ' : c;
      }
      text += " |";
    }
    return text + "\n";
  };
  const ReportTable table = report_table(rows);
  std::string text = line(table.header) + "|";
  for (size_t i = 0; i < table.header.size(); ++i) text += "---|";
  text += "\n";
  for (const auto& row : table.rows) text += line(row);
  return text;
}

std::string notes_text(const ReportData& data, const std::vector<ReportRow>& rows) {
  std::string text;
  for (const std::string& note : report_notes(data, rows)) text += note + "\n";
  return text;
}

}  // namespace

ReportTable report_table(const std::vector<ReportRow>& rows) {
  ReportTable table{header(rows), {}};
  for (const ReportRow& row : rows) table.rows.push_back(cells_of(row, rows));
  return table;
}

std::vector<std::string> report_notes(const ReportData& data, const std::vector<ReportRow>& rows) {
  std::vector<std::string> notes = {
      "Rates are unbiased estimates in percent with 95 % intervals over tasks; '-' is undefined "
      "(fewer than k samples, or not timed)."};
  notes.emplace_back(timed(rows)
                         ? "gmean correct leaves failed tasks out; gmean all counts them as 1.0x. "
                           "Speedups are over the task's naive kernel."
                         : "Nothing was timed: speeds need a GPU (--device cuda:0).");
  if (scored(rows))
    notes.emplace_back(
        "score@k: expected best of k samples; 0 is the naive kernel, 1 the expert's, on a log "
        "scale.");
  for (const ReportRow& row : rows)
    if (row.level == "all" && row.shrinkage)
      notes.push_back(fmt::format(
          "{}: {} samples were timed again and are reported by that alone; the first measurement "
          "had shown them {:+.1f} % faster. best: each task's fastest of them.",
          row.label, row.shrinkage->count, 100 * (row.shrinkage->value - 1)));
  if (timed(rows) && !retested(rows))
    notes.emplace_back(
        "No candidate was timed a second time: the fastest ones look faster than they are (assay "
        "retest).");
  if (std::ranges::any_of(rows, [](const ReportRow& row) { return row.tasks < 10; }))
    notes.emplace_back("With fewer than 10 tasks an interval says little about other tasks.");
  for (const ReportRun& run : data.runs)
    notes.push_back(fmt::format("{}: suite {}, in {}, loop {}, device {}{}", run.label,
                                run.run.suite, title(language_of(run.run)), run.run.loop,
                                run.run.device_id,
                                run.run.stopped.empty() ? "" : "; stopped: " + run.run.stopped));
  return notes;
}

std::string report_text(const ReportData& data, const std::vector<ReportRow>& rows,
                        ReportFormat format, size_t width) {
  switch (format) {
    case ReportFormat::csv:
      return csv(rows);
    case ReportFormat::json:
      return rows_json(data, rows).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) +
             "\n";
    case ReportFormat::markdown:
      return markdown(rows) + "\n" + notes_text(data, rows);
    case ReportFormat::text:
      break;
  }
  const ReportTable cells = report_table(rows);
  Table table(cells.header);
  for (const auto& row : cells.rows) table.add(row);
  return table.text(width) + "\n" + notes_text(data, rows);
}

}  // namespace assay
