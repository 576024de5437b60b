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
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/files.h"
#include "base/install.h"

namespace assay {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kChartFile = "/usr/share/javascript/chart.js/chart.min.js";
constexpr size_t kMostCodeBytes = 100'000;
constexpr size_t kMostDiagnostics = 20;  // of a sample

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

/// What the page shows of one sample when it is clicked: fills `details` until its budget is used.
class Details {
 public:
  explicit Details(size_t budget_bytes) : budget_(budget_bytes) {}

  Result<void> add(const Located& located) {
    const SampleResult& sample = located.sample->result;
    if (used_ >= budget_) {
      ++left_out_;
      return {};
    }
    ASSIGN_OR_RETURN(const Folder* const folder, open(located.run->folder));
    json one = {{"e", sample.explanation}};
    used_ += sample.explanation.size() + 40;
    if (!sample.code_digest.empty()) add_code(*folder->store, sample.code_digest, one);
    const auto evaluation = sample.retest_id ? sample.retest_id : sample.evaluation_id;
    if (evaluation && folder->with_diagnostics.contains(*evaluation))
      RETURN_IF_ERROR(add_diagnostics(*folder->store, *evaluation, one));
    samples_[std::to_string(located.row)] = std::move(one);
    return {};
  }

  json take() {
    return {
        {"samples", std::move(samples_)}, {"codes", std::move(codes_)}, {"left_out", left_out_}};
  }

 private:
  struct Folder {
    std::unique_ptr<Store> store;
    std::unordered_set<int64_t> with_diagnostics;  // evaluations
  };

  Result<const Folder*> open(const std::string& path) {
    Folder& folder = folders_[path];
    if (!folder.store) {
      ASSIGN_OR_RETURN(folder.store, Store::open(path));
      ASSIGN_OR_RETURN(folder.with_diagnostics, folder.store->with_diagnostics());
    }
    return &folder;
  }

  /// Equal code is kept once. A blob that is gone is left out.
  void add_code(const Store& store, const std::string& digest, json& one) {
    const std::string key = digest.substr(0, 16);
    if (!codes_.contains(key)) {
      Result<std::string> code = store.blob(digest);
      if (!code.ok()) return;
      code->resize(std::min(code->size(), kMostCodeBytes));
      used_ += code->size() + code->size() / 16;
      codes_[key] = *std::move(code);
    }
    one["c"] = key;
  }

  Result<void> add_diagnostics(const Store& store, int64_t evaluation, json& one) {
    ASSIGN_OR_RETURN(const auto diagnostics, store.diagnostics(evaluation));
    for (const Diagnostic& diagnostic : diagnostics) {
      const std::string message = diagnostic.message.substr(0, 500);
      one["d"].push_back({diagnostic.line, name(diagnostic.severity), message});
      used_ += message.size() + 24;
      if (one["d"].size() == kMostDiagnostics) break;
    }
    return {};
  }

  const size_t budget_;
  size_t used_ = 0;
  int left_out_ = 0;
  json samples_ = json::object();
  json codes_ = json::object();
  std::map<std::string, Folder> folders_;
};

/// In the order of what people look for first: the fastest, then the wrong, then the rest.
Result<json> details(const std::vector<Located>& samples, size_t budget_bytes) {
  std::vector<const Located*> order;
  order.reserve(samples.size());
  for (const Located& located : samples) order.push_back(&located);
  std::ranges::stable_sort(order, std::greater<>(), [](const Located* located) {
    const ReportSample& sample = *located->sample;
    if (sample.speed && sample.correct()) return 2 + sample.speed->speedup;
    return sample.correct() ? 0.0 : 1.0;
  });
  Details details(budget_bytes);
  for (const Located* located : order) RETURN_IF_ERROR(details.add(*located));
  return details.take();
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
  std::string list;  // JSON: an array of one short array a sample
  std::vector<Located> located;
  for (const ReportRun& run : data.runs)
    for (const ReportSample& sample : run.samples) {
      const SampleResult& result = sample.result;
      const bool fast = sample.speed && sample.correct() && std::isfinite(sample.speed->speedup);
      list += fmt::format(
          "{}[{},{},{},{},{},{},{},{:.4g}]", list.empty() ? "" : ",", tasks(result.task_id),
          labels(run.label), result.number,
          verdicts(std::string(sample.counted() ? name(result.outcome) : name(result.state))),
          reasons(sample.reason()), result.turns, result.tokens,
          fast ? sample.speed->speedup : 0.0);
      located.push_back({&run, &sample, located.size()});
    }
  const ReportTable table = report_table(rows);
  ASSIGN_OR_RETURN(json detail, details(located, options.details_bytes));
  const json all = {{"title", options.title},
                    {"tasks", tasks.words()},
                    {"labels", labels.words()},
                    {"verdicts", verdicts.words()},
                    {"reasons", reasons.words()},
                    {"details", std::move(detail)},
                    {"table", {{"head", table.header}, {"rows", table.rows}}},
                    {"notes", report_notes(data, rows)}};
  ASSIGN_OR_RETURN(page, replaced(std::move(page), "/*STYLE*/", style));
  ASSIGN_OR_RETURN(
      page, replaced(std::move(page), "/*CHART*/", chart.ok() ? script_element_safe(*chart) : ""));
  ASSIGN_OR_RETURN(page, replaced(std::move(page), "/*SCRIPT*/", script));
  ASSIGN_OR_RETURN(page, replaced(std::move(page), "/*SAMPLES*/", "[" + list + "]"));
  return replaced(std::move(page), "/*DATA*/", script_safe(all));
}

}  // namespace assay
