// Theory of operation
//
// The page is a frame (page/run.html) with four parts put in: style, Chart.js, data and script. The
// data are compact: words that repeat (tasks, agents, verdicts) are numbers into lists, a sample is
// one short array, so that 100,000 samples are a few megabytes. The script builds the table from
// them page by page and fills in a sample's details when it is clicked. Inside the script element
// every "<" of the data is written as an escape, so that no text can end the element.
#include "reports/run_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/install.h"

namespace assay {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kChartFile = "/usr/share/javascript/chart.js/chart.min.js";
constexpr size_t kMostCodeBytes = 100'000;

/// Words as numbers.
class Words {
 public:
  size_t operator()(const std::string& word) {
    const auto [found, added] = numbers_.emplace(word, words_.size());
    if (added) words_.push_back(word);
    return found->second;
  }
  const std::vector<std::string>& words() const { return words_; }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<std::string> words_;
};

double rounded(double value) { return std::stod(fmt::format("{:.4g}", value)); }

struct Located {
  const ReportRun* run;
  const ReportSample* sample;
  size_t row;  // in the page's list
};

std::string script_safe(const json& data) {
  const std::string text = data.dump(-1, ' ', true, json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

std::string script_element_safe(std::string script) {
  for (size_t at = script.find("</"); at != std::string::npos; at = script.find("</", at + 3))
    script.insert(at + 1, "\\");
  return script;
}

/// Code and diagnostics of as many samples as fit; equal code is kept once.
Result<json> details(const std::vector<Located>& samples, size_t budget) {
  json result = {{"samples", json::object()}, {"codes", json::object()}, {"left_out", 0}};
  std::vector<const Located*> order;
  for (const Located& located : samples) order.push_back(&located);
  // What people look for first: the fastest, then the wrong, then the rest.
  std::ranges::stable_sort(order, std::greater<>(), [](const Located* located) {
    const ReportSample& sample = *located->sample;
    if (sample.speed && sample.correct()) return 2 + sample.speed->speedup;
    return sample.correct() ? 0.0 : 1.0;
  });
  std::map<std::string, std::unique_ptr<Store>> stores;
  size_t used = 0;
  int left_out = 0;
  for (const Located* located : order) {
    const SampleResult& sample = located->sample->result;
    if (used >= budget) {
      ++left_out;
      continue;
    }
    std::unique_ptr<Store>& store = stores[located->run->folder];
    if (!store) {
      ASSIGN_OR_RETURN(store, Store::open(located->run->folder));
    }
    json one = {{"e", sample.explanation}};
    used += sample.explanation.size() + 40;
    if (!sample.code_digest.empty() && store->blob(sample.code_digest).ok()) {
      const std::string key = sample.code_digest.substr(0, 16);
      one["c"] = key;
      if (!result["codes"].contains(key)) {
        ASSIGN_OR_RETURN(std::string code, store->blob(sample.code_digest));
        code.resize(std::min(code.size(), kMostCodeBytes));
        used += code.size() + code.size() / 16;
        result["codes"][key] = std::move(code);
      }
    }
    if (sample.evaluation_id) {
      ASSIGN_OR_RETURN(const auto diagnostics, store->diagnostics(*sample.evaluation_id));
      for (const Diagnostic& diagnostic : diagnostics) {
        const std::string message = diagnostic.message.substr(0, 500);
        one["d"].push_back({diagnostic.line, name(diagnostic.severity), message});
        used += message.size() + 24;
        if (one["d"].size() == 20) break;
      }
    }
    result["samples"][std::to_string(located->row)] = std::move(one);
  }
  result["left_out"] = left_out;
  return result;
}

json table_json(const std::vector<ReportRow>& rows) {
  json table = json::array();
  for (const ReportRow& row : rows) {
    json one = {{"label", row.label},       {"level", row.level},   {"tasks", row.tasks},
                {"samples", row.samples},   {"failed", row.failed}, {"unfinished", row.unfinished},
                {"verdicts", row.verdicts}, {"tokens", row.tokens}, {"pass", json::array()},
                {"fast", json::array()}};
    for (const RateAtK& rate : row.pass)
      if (rate.value)
        one["pass"].push_back({rate.k, *rate.value, rate.interval.low, rate.interval.high});
    for (const RateAtK& rate : row.fast)
      if (rate.value && rate.k == 1) one["fast"].push_back({rate.p, *rate.value});
    if (row.gmean_correct) one["gmean_correct"] = row.gmean_correct->value;
    if (row.gmean_all) one["gmean_all"] = row.gmean_all->value;
    if (row.median_speedup) one["median"] = *row.median_speedup;
    if (row.cost_dollars) one["cost"] = *row.cost_dollars;
    table.push_back(std::move(one));
  }
  return table;
}

Result<std::string> replaced(std::string frame, const std::string& mark, const std::string& text) {
  const size_t at = frame.find(mark);
  if (at == std::string::npos)
    return Error{ErrorKind::internal, "the report's frame lacks " + mark};
  return frame.replace(at, mark.size(), text);
}

}  // namespace

Result<std::string> run_page(const ReportData& data, const std::vector<ReportRow>& rows,
                             const PageOptions& options) {
  ASSIGN_OR_RETURN(const fs::path folder, data_folder("reports/page"));
  ASSIGN_OR_RETURN(std::string page, read_file(folder / "run.html"));
  ASSIGN_OR_RETURN(const std::string style, read_file(folder / "run.css"));
  ASSIGN_OR_RETURN(const std::string script, read_file(folder / "run.js"));
  const auto chart = read_file(kChartFile, 4 << 20);

  Words tasks, labels, verdicts, reasons;
  json list = json::array();
  std::vector<Located> located;
  for (const ReportRun& run : data.runs)
    for (const ReportSample& sample : run.samples) {
      const SampleResult& result = sample.result;
      const std::string verdict =
          sample.counted() ? std::string(name(result.outcome)) : std::string(name(result.state));
      json row = {tasks(result.task_id),
                  labels(run.label),
                  result.number,
                  verdicts(verdict),
                  reasons(sample.counted() ? result.reason : result.failure_class),
                  result.turns,
                  result.tokens};
      row.push_back(sample.speed && sample.correct() ? json(rounded(sample.speed->speedup))
                                                     : json(0));
      located.push_back({&run, &sample, list.size()});
      list.push_back(std::move(row));
    }
  ASSIGN_OR_RETURN(const json detail, details(located, options.details_bytes));
  const json all = {{"title", options.title},     {"tasks", tasks.words()},
                    {"labels", labels.words()},   {"verdicts", verdicts.words()},
                    {"reasons", reasons.words()}, {"samples", std::move(list)},
                    {"details", detail},          {"table", table_json(rows)}};
  ASSIGN_OR_RETURN(page, replaced(std::move(page), "/*STYLE*/", style));
  ASSIGN_OR_RETURN(
      page, replaced(std::move(page), "/*CHART*/", chart.ok() ? script_element_safe(*chart) : ""));
  ASSIGN_OR_RETURN(page, replaced(std::move(page), "/*SCRIPT*/", script));
  return replaced(std::move(page), "/*DATA*/", script_safe(all));
}

}  // namespace assay
