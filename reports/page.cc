#include "reports/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/table.h"

namespace assay {

namespace {

constexpr const char* kStyle = R"css(
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdict { font-weight: 600; white-space: nowrap; }
.correct { color: #16803c; } .harness_error { color: #9a6700; } .wrong { color: #c0262d; }
details { margin: .6rem 0; } summary { cursor: pointer; }
pre { overflow: auto; background: #8881; padding: .8rem; border-radius: .4rem; max-height: 32rem; }
.note { opacity: .75; }
)css";

const char* verdict_class(Outcome outcome) {
  if (outcome == Outcome::correct) return "correct";
  if (outcome == Outcome::harness_error) return "harness_error";
  return "wrong";
}

std::string margin(double max_bound_ratio, Outcome outcome) {
  if (max_bound_ratio > 0) return fmt::format("{:.2g}", max_bound_ratio);
  return outcome == Outcome::correct ? "0" : "-";  // "-": nothing was compared
}

std::string count(uint64_t value) { return value > 0 ? short_count(value) : "-"; }

std::string table_row(const EvaluationSummary& row) {
  return fmt::format(
      "<tr><td>{}</td><td><a href=\"#e{}\">{}</a></td><td class=\"verdict {}\">{}</td><td>{}</td>"
      "<td class=\"number\">{}/{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>"
      "<td class=\"number\">{}</td></tr>\n",
      html_escape(row.task_id), row.id, html_escape(row.candidate), verdict_class(row.outcome),
      name(row.outcome), html_escape(row.reason), row.cases_correct, row.cases_total,
      margin(row.max_bound_ratio, row.outcome), count(row.lane_instructions),
      short_duration(row.wall_ms));
}

Result<std::string> details(const Store& store, const EvaluationSummary& row) {
  std::string html = fmt::format(
      "<details id=\"e{}\"><summary>{} / {}: <span class=\"verdict {}\">{}</span></summary>\n",
      row.id, html_escape(row.task_id), html_escape(row.candidate), verdict_class(row.outcome),
      name(row.outcome));
  html += fmt::format("<p class=\"note\">{}</p>\n", html_escape(row.language));
  if (!row.explanation.empty()) html += "<p>" + html_escape(row.explanation) + "</p>\n";
  ASSIGN_OR_RETURN(const auto cases, store.cases(row.id));
  if (!cases.empty()) {
    html +=
        "<table><tr><th>case</th><th>verdict</th><th>reason</th><th class=\"number\">error / "
        "bound</th><th class=\"number\">instructions</th><th class=\"number\">sectors</th>"
        "<th class=\"number\">bank conflicts</th><th class=\"number\">check</th></tr>\n";
    for (const CaseSummary& result : cases)
      html += fmt::format(
          "<tr><td>{}</td><td class=\"verdict {}\">{}</td><td>{}</td><td class=\"number\">{}</td>"
          "<td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>"
          "<td class=\"number\">{}</td></tr>\n",
          html_escape(result.name), verdict_class(result.outcome), name(result.outcome),
          html_escape(result.reason), margin(result.max_bound_ratio, result.outcome),
          count(result.lane_instructions), count(result.global_sectors),
          count(result.shared_bank_conflicts), short_duration(result.check_ms));
    html += "</table>\n";
  }
  if (!row.compile_log_digest.empty()) {
    ASSIGN_OR_RETURN(const std::string log, store.blob(row.compile_log_digest));
    html += "<p class=\"note\">compiler</p><pre>" + html_escape(log.substr(0, 20'000)) + "</pre>\n";
  }
  ASSIGN_OR_RETURN(const std::string code, store.blob(row.source_digest));
  html += "<pre>" + html_escape(code.substr(0, 100'000)) + "</pre></details>\n";
  return html;
}

/// Length of the valid UTF-8 sequence at the start of `text`, or 0.
size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80                   ? 1
                        : lead >= 0xC2 && lead < 0xE0 ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  if (length == 0 || length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  return length;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const size_t length = sequence_length(text);
    if (length == 0 || text[0] == '\0') {
      escaped += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    switch (text[0]) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return escaped;
}

Result<std::string> html_page(const Store& store, const std::string& title) {
  ASSIGN_OR_RETURN(auto rows, store.evaluations());
  std::ranges::stable_sort(rows, {}, &EvaluationSummary::task_id);  // else as they ended
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n"
      "<style>{1}</style></head><body>\n<h1>{0}</h1>\n",
      html_escape(title), kStyle);
  html +=
      "<table><tr><th>task</th><th>candidate</th><th>verdict</th><th>reason</th>"
      "<th class=\"number\">cases</th><th class=\"number\">error / bound</th>"
      "<th class=\"number\">instructions</th><th class=\"number\">time</th></tr>\n";
  for (const EvaluationSummary& row : rows) html += table_row(row);
  html += "</table>\n<h2>Details</h2>\n";
  for (const EvaluationSummary& row : rows) {
    ASSIGN_OR_RETURN(const std::string part, details(store, row));
    html += part;
  }
  html +=
      "<script>addEventListener('click', e => { const a = e.target.closest('a[href^=\"#e\"]');"
      " if (a) document.querySelector(a.hash).open = true; });</script>\n</body></html>\n";
  return html;
}

}  // namespace assay
