// Theory of operation
//
// evaluate() takes one candidate through the steps below. Each step either goes on or concludes
// the evaluation with an outcome; nothing after a conclusion runs.
//
//   extract   the code from the answer, verbatim
//   compile   in the sandbox, cached by content: device code and a host launcher
//   then, for each case:
//   record    run the launcher's solve() in the sandbox, without a GPU, against a recording
//             runtime, twice: a launch plan, plain data
//   validate  the plan against the artifact, the case and the device
//   check     in a runner process: replay on poisoned outputs between red zones, repeat, and only
//             then compute the expected outputs from the task's reference.cu and compare
//
// This process never loads or runs anything of the candidate's. What it learns from the sandboxed
// steps is data that was parsed with bounds. Seeds are drawn here, per case, and travel only to the
// runner, which no host code of the candidate ever reaches.
//
// Trouble of ours (sandbox, toolchain, runner, reference kernel) concludes as harness_error and is
// never the candidate's fault.
#include "evaluator/evaluate.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/digest.h"
#include "base/files.h"
#include "base/install.h"
#include "evaluator/compile/entry.h"
#include "evaluator/extract.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

uint64_t random_seed() {
  uint64_t seed = 0;
  while (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
  }
  return seed;
}

/// The seed of a case when the user gave one: a different one for each case, the same every time.
uint64_t derived_seed(uint64_t seed, const std::string& case_name) {
  return std::stoull(sha256(fmt::format("{}:{}", seed, case_name)).substr(0, 16), nullptr, 16);
}

Outcome outcome_of(CompileFailure::Kind kind) {
  switch (kind) {
    case CompileFailure::Kind::no_code:
      return Outcome::no_code;
    case CompileFailure::Kind::rejected:
      return Outcome::rejected;
    case CompileFailure::Kind::compile_error:
      return Outcome::compile_error;
    case CompileFailure::Kind::timeout:
      return Outcome::timeout;
  }
  return Outcome::harness_error;
}

Outcome outcome_of(RecordFailure::Kind kind) {
  switch (kind) {
    case RecordFailure::Kind::record_error:
      return Outcome::record_error;
    case RecordFailure::Kind::launch_error:
      return Outcome::launch_error;
    case RecordFailure::Kind::timeout:
      return Outcome::timeout;
  }
  return Outcome::harness_error;
}

}  // namespace

std::string_view name(Stage stage) {
  switch (stage) {
    case Stage::extract:
      return "extract";
    case Stage::compile:
      return "compile";
    case Stage::record:
      return "record";
    case Stage::check:
      return "check";
    case Stage::done:
      return "done";
  }
  return "done";
}

/// The state of one evaluation, passed from step to step.
struct Evaluator::Story {
  const Task& task;
  const Candidate& candidate;
  const EvaluateOptions& options;
  const StageListener& listener;
  Evaluation evaluation;
  std::shared_ptr<const Artifact> artifact;

  void enter(Stage stage, const std::string& case_name = "") const {
    if (listener) listener(stage, case_name);
  }

  /// Ends the evaluation with this outcome. Returns false, for the caller to return.
  bool conclude(Outcome outcome, std::string reason, std::string explanation) {
    evaluation.outcome = outcome;
    evaluation.reason = std::move(reason);
    evaluation.explanation = std::move(explanation);
    return false;
  }
  bool conclude(const Error& error) {
    return conclude(Outcome::harness_error, assay::name(error.kind), error.message);
  }
};

Result<std::unique_ptr<Evaluator>> Evaluator::create(const Options& options) {
  std::unique_ptr<Evaluator> evaluator(new Evaluator(options));
  ASSIGN_OR_RETURN(evaluator->compiler_, Compiler::create(options.compiler));
  evaluator->toolchain_ = evaluator->compiler_->toolchain();
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  RunnerOptions runner;
  runner.threads = options.threads_per_runner > 0
                       ? options.threads_per_runner
                       : std::max(1, cores / std::max(1, options.runners));
  ASSIGN_OR_RETURN(evaluator->runners_,
                   RunnerPool::create(options.device, options.runners, runner));
  evaluator->device_ = evaluator->runners_->info();
  return evaluator;
}

Evaluation Evaluator::evaluate(const Task& task, const Candidate& candidate,
                               const EvaluateOptions& options, const StageListener& listener) {
  const auto start = Clock::now();
  Story story{task, candidate, options, listener, {}, nullptr};
  Evaluation& evaluation = story.evaluation;
  evaluation.task_id = task.id;
  evaluation.candidate = candidate.name;
  evaluation.source_digest = sha256(candidate.source);
  evaluation.arch = options_.arch;
  evaluation.device_id = device_.id;
  evaluation.toolchain = toolchain_;

  if (extract(story) && compile(story)) {
    // Artifact in hand: from here on every case has its own verdict.
    for (const CaseSpec& spec : task.cases) {
      const bool wanted = options.cases.empty() ? spec.role == Role::test &&
                                                      (device_.id != "virtual" || spec.on_virtual)
                                                : std::ranges::count(options.cases, spec.name) > 0;
      if (wanted && !run_case(story, spec)) break;
    }
    conclude(story);
  }
  story.enter(Stage::done);
  evaluation.wall_ms = milliseconds_since(start);
  return std::move(story.evaluation);
}

bool Evaluator::extract(Story& story) {
  story.enter(Stage::extract);
  if (!story.candidate.is_answer) {
    story.evaluation.code = story.candidate.source;
    story.evaluation.extraction = "file";
    return true;
  }
  Extraction extraction = extract_code(story.candidate.source);
  story.evaluation.extraction = extraction.how;
  story.evaluation.code = std::move(extraction.code);
  if (story.evaluation.code.empty())
    return story.conclude(Outcome::no_code, "empty", extraction.explanation);
  return true;
}

bool Evaluator::compile(Story& story) {
  story.enter(Stage::compile);
  CompileRequest request;
  request.source = story.evaluation.code;
  request.entry = entry_source(story.task);
  request.arch = options_.arch;
  request.want_cubin = device_.id != "virtual";
  const auto start = Clock::now();
  Result<CompileOutcome> result = compiler_->compile(request);
  story.evaluation.compile_ms = milliseconds_since(start);
  if (!result.ok()) return story.conclude(result.error());
  if (result->failure) {
    CompileFailure& failure = *result->failure;
    story.evaluation.diagnostics = std::move(failure.diagnostics);
    story.evaluation.compile_log = std::move(failure.log);
    return story.conclude(outcome_of(failure.kind), failure.reason, failure.explanation);
  }
  story.artifact = result->artifact;
  story.evaluation.artifact_key = story.artifact->key;
  story.evaluation.artifact_from_cache = story.artifact->from_cache;
  story.evaluation.diagnostics = story.artifact->diagnostics;
  story.evaluation.compile_log = story.artifact->log;
  story.evaluation.kernels = story.artifact->kernels;
  return true;
}

/// One case, to its own verdict. Returns false when further cases make no sense: trouble of ours,
/// or a time limit that every other case would run into as well.
bool Evaluator::run_case(Story& story, const CaseSpec& spec) {
  CaseResult& result = story.evaluation.cases.emplace_back();
  result.name = spec.name;
  result.role = spec.role;
  result.seed = story.options.seed ? derived_seed(*story.options.seed, spec.name) : random_seed();
  const auto verdict = [&](Outcome outcome, const std::string& reason,
                           const std::string& explanation) {
    result.report.outcome = outcome;
    result.report.reason = reason;
    result.report.explanation = explanation;
    return outcome != Outcome::timeout && outcome != Outcome::harness_error;
  };
  const auto trouble = [&](const Error& error) {
    return verdict(Outcome::harness_error, assay::name(error.kind), error.message);
  };

  const Result<BoundCase> bound = bind(story.task, spec);
  if (!bound.ok()) return trouble(bound.error());

  story.enter(Stage::record, spec.name);
  Result<RecordOutcome> recorded = record(*story.artifact, *bound, device_);
  if (!recorded.ok()) return trouble(recorded.error());
  result.record_ms = recorded->record_ms;
  result.solve_output = recorded->output;
  if (const auto& failure = recorded->failure)
    return verdict(outcome_of(failure->kind), failure->reason, failure->explanation);
  result.plan_digest = recorded->plan->digest();
  if (story.options.keep_plan) result.plan_json = nlohmann::json(*recorded->plan).dump(1);

  if (const auto problem = validate(*recorded->plan, *story.artifact, *bound, device_))
    return verdict(problem->launch_limits ? Outcome::launch_error : Outcome::record_error,
                   problem->reason, problem->explanation);

  const Result<std::shared_ptr<const Artifact>> reference = reference_artifact(story.task);
  if (!reference.ok()) return trouble(reference.error());
  Result<LaunchPlan> expected = reference_plan(story.task, **reference, *bound);
  if (!expected.ok()) return trouble(expected.error());

  story.enter(Stage::check, spec.name);
  CheckJob job;
  job.bound = *bound;
  job.candidate = story.artifact.get();
  job.candidate_plan = *std::move(recorded->plan);
  job.reference = reference->get();
  job.reference_plan = *std::move(expected);
  job.seed = result.seed;
  job.repeats = story.options.repeats;
  job.run = story.options.run;
  job.want_outputs = story.options.keep_outputs;
  job.want_expected = story.options.keep_expected;
  Result<CheckReport> report = runners_->check(job);
  if (!report.ok()) return trouble(report.error());
  result.report = *std::move(report);
  return verdict(result.report.outcome, result.report.reason, result.report.explanation);
}

/// The evaluation's outcome: harness_error if any case had trouble of ours, else that of the first
/// case that is not correct.
void Evaluator::conclude(Story& story) {
  const std::vector<CaseResult>& cases = story.evaluation.cases;
  if (cases.empty()) {
    story.conclude(Outcome::harness_error, "no_cases",
                   fmt::format("task {} has no case for device {}; name one with --cases",
                               story.task.id, device_.id));
    return;
  }
  const auto is = [](Outcome outcome) {
    return [outcome](const CaseResult& result) { return result.report.outcome == outcome; };
  };
  auto decisive = std::ranges::find_if(cases, is(Outcome::harness_error));
  if (decisive == cases.end()) decisive = std::ranges::find_if_not(cases, is(Outcome::correct));
  if (decisive == cases.end()) {
    story.conclude(Outcome::correct, "", "");
    return;
  }
  story.conclude(decisive->report.outcome, decisive->report.reason,
                 fmt::format("case {}: {}", decisive->name, decisive->report.explanation));
}

Result<Candidate> Evaluator::reference_kernel(const Task& task, const std::string& which) {
  ASSIGN_OR_RETURN(const auto folder, data_folder("reference_kernels"));
  const auto path = folder / task.id / (which + ".cu");
  ASSIGN_OR_RETURN(std::string source, read_file(path));
  return Candidate{which, std::move(source), false};
}

Result<std::string> Evaluator::task_digest(const Task& task) {
  ASSIGN_OR_RETURN(const std::string toml, read_file(task.folder / "task.toml"));
  ASSIGN_OR_RETURN(const Candidate reference, reference_kernel(task, "reference"));
  return Digest().add(toml).add(task.statement).add(reference.source).hex();
}

Result<CheckReport> Evaluator::run_reference(const Task& task, const BoundCase& bound,
                                             uint64_t seed) {
  ASSIGN_OR_RETURN(const auto artifact, reference_artifact(task));
  ASSIGN_OR_RETURN(const LaunchPlan plan, reference_plan(task, *artifact, bound));
  CheckJob job;
  job.bound = bound;
  job.candidate = job.reference = artifact.get();
  job.candidate_plan = job.reference_plan = plan;
  job.seed = seed;
  job.repeats = 1;
  job.want_expected = true;
  return runners_->check(job);
}

Result<std::shared_ptr<const Artifact>> Evaluator::reference_artifact(const Task& task) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = reference_artifacts_.find(task.id); found != reference_artifacts_.end())
      return found->second;
  }
  ASSIGN_OR_RETURN(const Candidate reference, reference_kernel(task, "reference"));
  CompileRequest request;
  request.source = reference.source;
  request.file_name = "reference.cu";
  request.entry = entry_source(task);
  request.arch = options_.arch;
  request.want_cubin = device_.id != "virtual";
  ASSIGN_OR_RETURN(const CompileOutcome outcome, compiler_->compile(request));
  if (outcome.failure)
    return Error{ErrorKind::internal, fmt::format("reference.cu of task {} does not compile: {}",
                                                  task.id, outcome.failure->explanation)};
  const std::lock_guard lock(mutex_);
  return reference_artifacts_[task.id] = outcome.artifact;
}

Result<LaunchPlan> Evaluator::reference_plan(const Task& task, const Artifact& artifact,
                                             const BoundCase& bound) {
  const std::string key = fmt::format("{}/{}/{}", task.id, bound.case_name, artifact.key);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = reference_plans_.find(key); found != reference_plans_.end())
      return found->second;
  }
  ASSIGN_OR_RETURN(RecordOutcome recorded, record(artifact, bound, device_));
  if (recorded.failure)
    return Error{ErrorKind::internal,
                 fmt::format("reference.cu of task {}, case {}, cannot be recorded: {}", task.id,
                             bound.case_name, recorded.failure->explanation)};
  if (const auto problem = validate(*recorded.plan, artifact, bound, device_))
    return Error{ErrorKind::internal, fmt::format("reference.cu of task {}, case {}: {}", task.id,
                                                  bound.case_name, problem->explanation)};
  const std::lock_guard lock(mutex_);
  return reference_plans_[key] = *std::move(recorded.plan);
}

}  // namespace assay
