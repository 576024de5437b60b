// Result tables of runs: samples to numbers, by agent and level.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reports/estimators.h"
#include "reports/run_store.h"
#include "reports/speed.h"

namespace assay {

/// One sample with its speed, ready for statistics.
struct ReportSample {
  SampleResult result;
  std::optional<Speed> speed;        // of the re-test, where there was one
  std::optional<Speed> first_speed;  // where there was a re-test: what it was chosen by
  /// The verdict's reason, with how the answer ended where it was not by itself; else the class of
  /// the trouble.
  std::string reason() const;
  bool counted() const { return result.state == SampleState::done; }  // has a verdict
  bool correct() const { return counted() && result.outcome == Outcome::correct; }
};

/// One run of one agent, with its samples.
struct ReportRun {
  RunRow run;
  std::string folder;
  std::string
      label;  // agent, with language, loop and folder where that is needed to tell runs apart
  std::vector<ReportSample> samples;
};

struct ReportData {
  std::vector<ReportRun> runs;
};

/// Reads run directories. not_found where a folder holds no run.
Result<ReportData> load_report(const std::vector<std::filesystem::path>& folders);

/// The thresholds of fast_p.
inline constexpr double kFastThresholds[] = {0, 0.5, 0.8, 1, 1.5, 2};

/// A rate or score averaged over tasks; absent where no task has k samples.
struct RateAtK {
  double p = 0;  // fast_p's threshold; unused by pass@k
  int k = 1;
  std::optional<double> value;
  double standard_error = 0;      // clustered by task
  statistics::Interval interval;  // 95 %, bootstrap over tasks
  int tasks = 0;                  // that have k samples
};

/// One row: an agent at a level ("all", or the suite's levels).
struct ReportRow {
  std::string label;
  Language language = Language::cuda;  // asked for
  std::string level;
  int tasks = 0;
  int samples = 0;
  int unfinished = 0;
  int failed = 0;  // trouble that is not the agent's: in no rate
  std::map<std::string, int> verdicts;
  std::vector<RateAtK> pass;      // by k
  std::vector<RateAtK> fast;      // by threshold and k
  std::vector<RateAtK> fast_low;  // the same with the lower bound of each speedup, k = 1
  std::vector<RateAtK> score;     // by k: expected best normalised score; naive 0, expert 1
  std::vector<RateAtK> score_with_replacement;  // the same as RE-Bench estimates it
  int timed = 0;                                // correct samples with a speed
  std::optional<statistics::Estimate>
      gmean_correct;                              // per task, then over tasks; failures left out
  std::optional<statistics::Estimate> gmean_all;  // tasks without a correct sample count 1.0x
  // Of what assay retest timed a second time (reports/retest.h).
  std::optional<statistics::Estimate> best_retested;  // per task its fastest, then over tasks
  std::optional<statistics::Estimate> shrinkage;      // first speedup over the second
  std::optional<statistics::Estimate> median;         // over tasks, of what gmean_correct rests on
  double quartile_low = 0, quartile_high = 0;         // where there is a median
  int64_t tokens = 0;
  std::optional<double> cost_dollars;  // absent where one is unknown
};

/// Rows by run, each with "all" first and then its levels.
std::vector<ReportRow> report_rows(const ReportData& data, const std::vector<int>& ks);

/// The rows as cells of text, the same for all forms that people read.
struct ReportTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};
ReportTable report_table(const std::vector<ReportRow>& rows);
/// What its readers must know, as sentences.
std::vector<std::string> report_notes(const ReportData& data, const std::vector<ReportRow>& rows);

enum class ReportFormat { text, markdown, csv, json };
/// `width` as in Table::text.
std::string report_text(const ReportData& data, const std::vector<ReportRow>& rows,
                        ReportFormat format, size_t width);

}  // namespace assay
