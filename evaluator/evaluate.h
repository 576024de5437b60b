// The story of one candidate, from source to verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "evaluator/check/check.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/language.h"
#include "evaluator/outcome.h"
#include "evaluator/plan/summary.h"
#include "evaluator/record/recorder.h"
#include "evaluator/runner/runner.h"
#include "evaluator/score/score.h"
#include "evaluator/triton/tuner.h"
#include "evaluator/triton/worker.h"
#include "tasks/task.h"

namespace assay {

struct Candidate {
  std::string name;    // for people: a file name or a sample's id
  std::string source;  // a .cu or .py file, or, with `is_answer`, a model's whole answer
  bool is_answer = false;
};

struct EvaluateOptions {
  std::vector<std::string> cases;  // names; empty: all test cases fit for the device
  std::optional<uint64_t> seed;    // for repeating an evaluation; else drawn at random
  int repeats = 2;                 // runs on the same input
  /// What was asked for: code in another language is rejected. Empty: either.
  std::optional<Language> language;
  /// Times the timed cases within this budget ("rl", "benchmark", "leaderboard") once all test
  /// cases are correct; empty: no timing. Needs a GPU.
  std::string budget;
  RunOptions run;
  bool keep_plan = false;      // CaseResult::plan_json
  bool keep_outputs = false;   // CheckReport::outputs
  bool keep_expected = false;  // CheckReport::inputs and ::expected too
};

/// A timed case's figures. Scores are computed from them (reports/scores.h).
struct CaseTiming {
  std::vector<TimingReport> processes;  // one, or as many as the budget wants; baseline: naive.cu
  Speedup speedup;                      // over naive, of all processes; 0: none could be told
  std::optional<Speedup> expert;        // the expert's over naive, measured once and kept
  double limit_us = 0;                  // least time by the device's data sheet; 0: not known
  double reachable_us = 0;              // least time by `assay calibrate`; 0: not calibrated
};

struct CaseResult {
  std::string name;
  Role role = Role::test;
  uint64_t seed = 0;
  double record_ms = 0;
  std::string plan_digest;
  std::optional<PlanSummary> plan;  // absent: nothing was recorded
  /// Of a correct test case: false where the plan's copies alone, without its launches, pass it.
  std::optional<bool> kernels_needed;
  std::string plan_json;
  std::string solve_output;         // what solve() printed on the host
  std::vector<std::string> tuning;  // triton.autotune's choices, a sentence a kernel
  CheckReport report;               // outcome, reason and explanation of this case are in here
  std::optional<CaseTiming> timing;
};

/// Everything known about one candidate, raw. The outcome is that of the first case that is not
/// correct, in the task's order of cases.
struct Evaluation {
  std::string task_id;
  std::string candidate;
  std::string source_digest;  // SHA-256 of the candidate as given
  std::string code;           // what was compiled
  std::string extraction;     // Extraction::how, or "file"
  Language language = Language::cuda;
  Outcome outcome = Outcome::harness_error;
  std::string reason;
  std::string explanation;
  std::vector<Diagnostic> diagnostics;
  std::string compile_log;
  std::string arch;
  std::string artifact_key;
  bool artifact_from_cache = false;
  std::vector<Kernel> kernels;
  std::vector<CaseResult> cases;
  std::string device_id;
  std::string toolchain;
  double compile_ms = 0;
  double wall_ms = 0;
};

/// Which step an evaluation is in, for progress lines.
enum class Stage { extract, compile, record, check, time, done };
std::string_view name(Stage stage);
using StageListener = std::function<void(Stage stage, const std::string& case_name)>;

/// Evaluates candidates on one device. Thread-safe: evaluations may run concurrently, as many at
/// once as there are runners.
class Evaluator {
 public:
  struct Options {
    std::string device = "virtual";  // as RunnerPool::create() takes it
    std::string arch = "sm_90";      // of a virtual device; a GPU has its own
    int runners = 1;                 // processes of a virtual device; a GPU has one
    int threads_per_runner = 0;      // CPU threads of a virtual device; 0: cores / runners
    CompilerOptions compiler;
  };
  static Result<std::unique_ptr<Evaluator>> create(const Options& options);

  /// Never fails: trouble of ours is the outcome harness_error with an explanation.
  Evaluation evaluate(const Task& task, const Candidate& candidate, const EvaluateOptions& options,
                      const StageListener& listener = {});

  /// A kernel of reference_kernels/<task id>, for example "reference" or "expert". Triton's are
  /// few.
  static Result<Candidate> reference_kernel(const Task& task, const std::string& which,
                                            Language language = Language::cuda);

  /// SHA-256 of all that makes a task what it is: its folder's texts and its reference kernel.
  static Result<std::string> task_digest(const Task& task);

  /// Runs reference.cu alone on a case (which may have been changed after bind()): the report holds
  /// the inputs and the expected outputs as bytes.
  Result<CheckReport> run_reference(const Task& task, const BoundCase& bound, uint64_t seed);

  /// Measures the device's ceilings and keeps them for later evaluations on it.
  Result<DeviceProfile> calibrate();
  /// What calibrate() kept, if it ever ran on this device.
  const std::optional<DeviceProfile>& profile() const { return profile_; }

  /// What candidates are compiled for.
  const std::string& arch() const { return options_.arch; }
  const DeviceInfo& device() const { return device_; }
  bool on_gpu() const { return device_.id != "virtual"; }
  const std::string& toolchain() const { return toolchain_; }

 private:
  struct Story;  // the state of one evaluation

  explicit Evaluator(Options options) : options_(std::move(options)) {}
  /// A kernel of reference_kernels/<task id>, compiled and recorded once.
  struct Trusted {
    std::shared_ptr<const Artifact> artifact;
    LaunchPlan plan;
  };
  Result<std::shared_ptr<const Artifact>> trusted_artifact(const Task& task,
                                                           const std::string& which);
  Result<Trusted> trusted_kernel(const Task& task, const std::string& which,
                                 const BoundCase& bound);
  /// evidence.cu; without an artifact for a task that has no evidence.
  Result<Trusted> evidence_kernel(const Task& task, const BoundCase& bound);

  bool extract(Story& story);
  bool compile(Story& story);
  bool run_case(Story& story, const CaseSpec& spec);
  bool wants(const Story& story, const CaseSpec& spec) const;
  bool compile_triton(Story& story);
  /// Records and validates the candidate for a case; false: the case has its verdict.
  bool record_case(Story& story, const BoundCase& bound, CaseResult& result, LaunchPlan& plan);
  /// The recording of a case; a Triton candidate's artifact is made here, for each case anew.
  Result<RecordOutcome> recorded(Story& story, const BoundCase& bound, CaseResult& result);
  /// The recording of a Triton candidate, with the best configurations of its triton.autotune.
  Result<triton::Tuned> tuned(const Story& story, const BoundCase& bound);
  void check_case(Story& story, const BoundCase& bound, CaseResult& result, LaunchPlan plan);
  /// Whether a plan that passed this job would fail without its launches.
  Result<bool> kernels_needed(CheckJob job);
  void time_case(Story& story, const BoundCase& bound, CaseResult& result, LaunchPlan plan);
  Result<CaseTiming> measure(const Task& task, const BoundCase& bound, const Artifact& candidate,
                             const LaunchPlan& plan, const TimingBudget& budget, uint64_t seed);
  Result<std::optional<Speedup>> expert_speedup(const Task& task, const BoundCase& bound,
                                                const TimingBudget& budget);
  void conclude(Story& story);

  Options options_;
  DeviceInfo device_;
  std::string toolchain_;
  std::unique_ptr<Compiler> compiler_;
  std::unique_ptr<RunnerPool> runners_;
  std::unique_ptr<triton::Workers> triton_workers_;
  std::optional<DeviceProfile> profile_;
  std::mutex mutex_;                                                          // guards the two maps
  std::map<std::string, std::shared_ptr<const Artifact>> trusted_artifacts_;  // by task and kernel
  std::map<std::string, LaunchPlan> trusted_plans_;  // by task, case, artifact
  std::mutex expert_mutex_;                          // an expert is measured once
};

}  // namespace assay
