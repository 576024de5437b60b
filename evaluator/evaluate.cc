// Theory of operation
//
// evaluate() takes one candidate through the steps below. Each step either goes on or concludes
// the evaluation with an outcome; nothing after a conclusion runs.
//
//   extract   the code from the answer, verbatim
//   compile   in the sandbox, cached by content: device code and a host launcher
//   then, for each case:
//   record    run the launcher's solve() in the sandbox, without a GPU, against a recording
//             runtime, twice: a launch plan, plain data. A Triton candidate is compiled here, for
//             what the case makes of it (triton/recorder.cc)
//   validate  the plan against the artifact, the case and the device
//   check     in a runner process: replay on poisoned outputs between red zones, repeat, and only
//             then compute the expected outputs from the task's reference.cu and compare
//   time      on a GPU, once all test cases are correct: each timed case against naive.cu, with
//             all timed outputs verified (timed_cases.cc)
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
#include "evaluator/compile/source_check.h"
#include "evaluator/extract.h"
#include "evaluator/plan/launch_need.h"
#include "evaluator/timed_cases.h"
#include "evaluator/triton/installation.h"
#include "evaluator/triton/recorder.h"
#include "tasks/evidence.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr int kTuningRuns = 10;  // of each configuration, at most

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
    case RecordFailure::Kind::rejected:
      return Outcome::rejected;
    case RecordFailure::Kind::compile_error:
      return Outcome::compile_error;
  }
  return Outcome::harness_error;
}

/// With the instructions that only this architecture has (wgmma, TMA).
std::string native_arch(const DeviceInfo& device) {
  return device.arch() + (device.compute_major >= 9 ? "a" : "");
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
    case Stage::time:
      return "time";
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

  CompileRequest request(const std::string& arch, bool want_cubin) const {
    CompileRequest request;
    request.source = evaluation.code;
    request.entry = entry_source(task);
    request.arch = arch;
    request.want_cubin = want_cubin;
    return request;
  }

  /// Goes on with what a case of a Triton candidate was compiled to.
  void use(std::shared_ptr<const Artifact> made) {
    artifact = std::move(made);
    evaluation.artifact_key = artifact->key;
    for (const Kernel& kernel : artifact->kernels)
      if (std::ranges::find(evaluation.kernels, kernel.name, &Kernel::name) ==
          evaluation.kernels.end())
        evaluation.kernels.push_back(kernel);
  }

  /// The virtual device reads PTX that no assembler has seen: inline assembly can hold anything,
  /// and functions can be called that nobody defines. Where it gave up on that, the assembler has
  /// the last word: what it refuses is a compile_error. What it takes stays trouble of ours.
  void ask_assembler(Compiler& compiler, const std::string& arch);
};

Result<std::unique_ptr<Evaluator>> Evaluator::create(const Options& options) {
  std::unique_ptr<Evaluator> evaluator(new Evaluator(options));
  ASSIGN_OR_RETURN(evaluator->compiler_, Compiler::create(options.compiler));
  evaluator->toolchain_ = evaluator->compiler_->toolchain();
  const int cores = std::max(1u, std::thread::hardware_concurrency());
  RunnerOptions runner;
  runner.arch = options.arch;
  runner.warm_spare = options.device.starts_with("cuda");
  runner.threads = options.threads_per_runner > 0
                       ? options.threads_per_runner
                       : std::max(1, cores / std::max(1, options.runners));
  ASSIGN_OR_RETURN(evaluator->runners_,
                   RunnerPool::create(options.device, options.runners, runner));
  evaluator->device_ = evaluator->runners_->info();
  // Evaluations wait for a GPU, not for one another: on many cores many of them record at once.
  evaluator->triton_workers_ = std::make_unique<triton::Workers>(std::max(1, cores / 2));
  evaluator->profile_ = load_profile(evaluator->device_);
  if (evaluator->on_gpu()) evaluator->options_.arch = native_arch(evaluator->device_);
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
    bool going = true;
    for (const Role role : {Role::test, Role::timed})
      for (const CaseSpec& spec : task.cases)
        if (spec.role == role && wants(story, spec)) going = going && run_case(story, spec);
    conclude(story);
    // What the virtual device cannot read may be no PTX at all, which is the candidate's fault.
    if (!on_gpu()) story.ask_assembler(*compiler_, options_.arch);
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
  Extraction extraction = extract_code(story.candidate.source, story.options.language);
  story.evaluation.extraction = extraction.how;
  story.evaluation.code = std::move(extraction.code);
  if (story.evaluation.code.empty())
    return story.conclude(Outcome::no_code, "empty", extraction.explanation);
  return true;
}

bool Evaluator::compile_triton(Story& story) {
  if (auto refusal = check_source(story.evaluation.code))
    return story.conclude(outcome_of(refusal->kind), refusal->reason, refusal->explanation);
  const Result<triton::Installation> installation = triton::find_installation();
  if (!installation.ok()) return story.conclude(installation.error());
  story.evaluation.arch = triton::arch_for(device_, options_.arch);
  story.evaluation.toolchain = fmt::format("triton {}, {}", installation->version, toolchain_);
  return true;
}

bool Evaluator::compile(Story& story) {
  story.enter(Stage::compile);
  const Language language = story.evaluation.language = language_of(story.evaluation.code);
  if (const auto wanted = story.options.language; wanted && *wanted != language)
    return story.conclude(
        Outcome::rejected, "other_language",
        fmt::format("{} was asked for, and this is {}; write the whole file in one block fenced "
                    "with ```{}",
                    title(*wanted),
                    language == Language::triton ? "Python" : "no Python program that uses Triton",
                    fence(*wanted)));
  if (language == Language::triton) return compile_triton(story);
  const auto start = Clock::now();
  Result<CompileOutcome> result = compiler_->compile(story.request(options_.arch, on_gpu()));
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

bool Evaluator::wants(const Story& story, const CaseSpec& spec) const {
  const std::vector<std::string>& cases = story.options.cases;
  if (!cases.empty()) return std::ranges::count(cases, spec.name) > 0;
  if (spec.role == Role::timed) return on_gpu() && !story.options.budget.empty();
  return on_gpu() || spec.on_virtual;
}

namespace {

void set_verdict(CaseResult& result, Outcome outcome, std::string reason, std::string explanation) {
  result.report.outcome = outcome;
  result.report.reason = std::move(reason);
  result.report.explanation = std::move(explanation);
}

void set_trouble(CaseResult& result, const Error& error) {
  set_verdict(result, Outcome::harness_error, assay::name(error.kind), error.message);
}

}  // namespace

/// One case, to its own verdict. Returns false when further cases make no sense: trouble of ours,
/// a time limit that every other case would run into as well, or, before timing, anything wrong.
bool Evaluator::run_case(Story& story, const CaseSpec& spec) {
  const bool timed = spec.role == Role::timed && on_gpu() && !story.options.budget.empty();
  const auto& before = story.evaluation.cases;
  if (timed && std::ranges::any_of(before, [](const CaseResult& result) {
        return result.report.outcome != Outcome::correct;
      }))
    return false;
  CaseResult& result = story.evaluation.cases.emplace_back();
  result.name = spec.name;
  result.role = spec.role;
  result.seed = story.options.seed ? derived_seed(*story.options.seed, spec.name) : random_seed();
  const Result<BoundCase> bound = bind(story.task, spec);
  LaunchPlan plan;
  if (!bound.ok()) {
    set_trouble(result, bound.error());
  } else if (record_case(story, *bound, result, plan)) {
    if (timed)
      time_case(story, *bound, result, std::move(plan));
    else
      check_case(story, *bound, result, std::move(plan));
  }
  for (const std::string& sentence : result.tuning) result.report.notes.push_back(sentence);
  const Outcome outcome = result.report.outcome;
  return outcome != Outcome::timeout && outcome != Outcome::harness_error;
}

Result<triton::Tuned> Evaluator::tuned(const Story& story, const BoundCase& bound) {
  const auto start = Clock::now();
  const auto record = [&](const std::vector<uint32_t>& choice) {
    return triton::record({story.evaluation.code, story.evaluation.arch, on_gpu(), choice}, bound,
                          device_, *compiler_, *triton_workers_);
  };
  CheckJob job;
  job.bound = bound;
  job.seed = random_seed();
  job.repeats = kTuningRuns;
  job.run = story.options.run;
  const auto cost = [&](const triton::Recorded& recorded) {
    job.candidate = recorded.artifact.get();
    job.candidate_plan = *recorded.outcome.plan;
    return runners_->cost(job);
  };
  ASSIGN_OR_RETURN(triton::Recorded first, record({}));
  triton::TuningLimits limits;
  limits.at_once = std::max(1u, std::thread::hardware_concurrency() / 2);
  Result<triton::Tuned> tuned = triton::tune(std::move(first), record, cost, limits);
  if (tuned.ok()) tuned->recorded.outcome.record_ms = milliseconds_since(start);
  return tuned;
}

Result<RecordOutcome> Evaluator::recorded(Story& story, const BoundCase& bound,
                                          CaseResult& result) {
  if (story.evaluation.language == Language::cuda) return record(*story.artifact, bound, device_);
  ASSIGN_OR_RETURN(triton::Tuned tuned, this->tuned(story, bound));
  result.tuning = std::move(tuned.choices);
  if (tuned.recorded.artifact) story.use(std::move(tuned.recorded.artifact));
  return std::move(tuned.recorded.outcome);
}

bool Evaluator::record_case(Story& story, const BoundCase& bound, CaseResult& result,
                            LaunchPlan& plan) {
  story.enter(Stage::record, bound.case_name);
  Result<RecordOutcome> recorded = this->recorded(story, bound, result);
  if (!recorded.ok()) {
    set_trouble(result, recorded.error());
    return false;
  }
  result.record_ms = recorded->record_ms;
  result.solve_output = recorded->output;
  if (const auto& failure = recorded->failure) {
    set_verdict(result, outcome_of(failure->kind), failure->reason, failure->explanation);
    return false;
  }
  plan = *std::move(recorded->plan);
  result.plan_digest = plan.digest();
  result.plan = summarise(plan, story.artifact->kernels);
  if (story.options.keep_plan) result.plan_json = nlohmann::json(plan).dump(1);
  if (const auto problem = validate(plan, *story.artifact, bound, device_)) {
    set_verdict(result, problem->launch_limits ? Outcome::launch_error : Outcome::record_error,
                problem->reason, problem->explanation);
    return false;
  }
  return true;
}

void Evaluator::check_case(Story& story, const BoundCase& bound, CaseResult& result,
                           LaunchPlan plan) {
  Result<Trusted> reference = trusted_kernel(story.task, "reference", bound);
  if (!reference.ok()) return set_trouble(result, reference.error());
  Result<Trusted> evidence = evidence_kernel(story.task, bound);
  if (!evidence.ok()) return set_trouble(result, evidence.error());
  story.enter(Stage::check, bound.case_name);
  CheckJob job;
  job.bound = bound;
  job.candidate = story.artifact.get();
  job.candidate_plan = std::move(plan);
  job.reference = reference->artifact.get();
  job.reference_plan = std::move(reference->plan);
  job.evidence = {evidence->artifact.get(), std::move(evidence->plan)};
  job.seed = result.seed;
  job.repeats = story.options.repeats;
  job.run = story.options.run;
  job.want_outputs = story.options.keep_outputs;
  job.want_expected = story.options.keep_expected;
  Result<CheckReport> report = runners_->check(job);
  if (!report.ok()) return set_trouble(result, report.error());
  result.report = *std::move(report);
  if (result.report.outcome != Outcome::correct) return;
  const Result<bool> needed = kernels_needed(std::move(job));
  if (!needed.ok()) return set_trouble(result, needed.error());
  result.kernels_needed = *needed;
}

Result<bool> Evaluator::kernels_needed(CheckJob job) {
  if (!copies_data(job.candidate_plan)) return true;
  job.candidate_plan = without_launches(std::move(job.candidate_plan));
  job.want_outputs = job.want_expected = false;
  ASSIGN_OR_RETURN(const CheckReport report, runners_->check(job));
  return report.outcome != Outcome::correct;
}

void Evaluator::time_case(Story& story, const BoundCase& bound, CaseResult& result,
                          LaunchPlan plan) {
  story.enter(Stage::time, bound.case_name);
  const std::optional<TimingBudget> budget = budget_from_name(story.options.budget);
  if (!budget)
    return set_trouble(result, {ErrorKind::usage, "no such budget: " + story.options.budget});
  Result<CaseTiming> timing =
      measure(story.task, bound, *story.artifact, plan, *budget, result.seed);
  if (!timing.ok()) return set_trouble(result, timing.error());
  result.timing = *std::move(timing);
  for (const TimingReport& report : result.timing->processes) {
    result.report.check_ms += report.wall_ms;
    if (!report.neighbours.empty())
      result.report.notes.push_back(
          fmt::format("the device was not ours alone while this was timed: {}", report.neighbours));
    if (!report.violation) continue;
    const TimingViolation& violation = *report.violation;
    return set_verdict(result, outcome_of_violation(violation.reason), violation.reason,
                       violation.explanation);
  }
  result.report.candidate_ms = result.timing->processes.front().candidate.median_us / 1e3;
  Result<std::optional<Speedup>> expert = expert_speedup(story.task, bound, *budget);
  if (!expert.ok()) return set_trouble(result, expert.error());
  result.timing->expert = *expert;
  set_verdict(result, Outcome::correct, "", "");
}

namespace {

/// Whether no case needed the candidate's kernels.
bool copied(const std::vector<CaseResult>& cases) {
  const auto told = [](const CaseResult& result) { return result.kernels_needed.has_value(); };
  const auto needed = [](const CaseResult& result) { return result.kernels_needed == true; };
  return std::ranges::any_of(cases, told) && std::ranges::none_of(cases, needed);
}

}  // namespace

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
    if (story.evaluation.language == Language::triton && copied(cases))
      story.conclude(Outcome::rejected, "kernels_not_needed",
                     "the copies of tensors alone, without any of the kernels, compute the result; "
                     "the kernels must");
    else
      story.conclude(Outcome::correct, "", "");
    return;
  }
  story.conclude(decisive->report.outcome, decisive->report.reason,
                 fmt::format("case {}: {}", decisive->name, decisive->report.explanation));
}

void Evaluator::Story::ask_assembler(Compiler& compiler, const std::string& arch) {
  const bool gave_up = evaluation.outcome == Outcome::harness_error &&
                       (evaluation.reason == "unsupported" || evaluation.reason == "invalid");
  if (!gave_up) return;
  if (evaluation.language == Language::triton && artifact == nullptr)
    return;  // nothing to ask about
  Result<CompileOutcome> result = evaluation.language == Language::cuda
                                      ? compiler.compile(request(arch, true))
                                      : compiler.assemble({artifact->ptx, evaluation.arch, true});
  if (!result.ok() || !result->failure) return;
  CompileFailure& failure = *result->failure;
  for (CaseResult& one : evaluation.cases)
    if (one.report.outcome == Outcome::harness_error)
      set_verdict(one, outcome_of(failure.kind), failure.reason, failure.explanation);
  evaluation.diagnostics = std::move(failure.diagnostics);
  evaluation.compile_log = std::move(failure.log);
  conclude(outcome_of(failure.kind), failure.reason, failure.explanation);
}

Result<Candidate> Evaluator::reference_kernel(const Task& task, const std::string& which,
                                              Language language) {
  ASSIGN_OR_RETURN(const auto folder, data_folder("reference_kernels"));
  const auto path = folder / task.id / fmt::format("{}{}", which, file_ending(language));
  ASSIGN_OR_RETURN(std::string source, read_file(path));
  return Candidate{which, std::move(source), false};
}

Result<std::string> Evaluator::task_digest(const Task& task) {
  ASSIGN_OR_RETURN(const std::string toml, read_file(task.folder / "task.toml"));
  ASSIGN_OR_RETURN(const Candidate reference, reference_kernel(task, "reference"));
  Digest digest;
  digest.add(toml).add(task.statement).add(reference.source);
  if (!task.evidence.empty()) {
    ASSIGN_OR_RETURN(const Candidate evidence, reference_kernel(task, "evidence"));
    digest.add(evidence.source);
  }
  return digest.hex();
}

Result<CheckReport> Evaluator::run_reference(const Task& task, const BoundCase& bound,
                                             uint64_t seed) {
  ASSIGN_OR_RETURN(const Trusted reference, trusted_kernel(task, "reference", bound));
  CheckJob job;
  job.bound = bound;
  job.candidate = job.reference = reference.artifact.get();
  job.candidate_plan = job.reference_plan = reference.plan;
  ASSIGN_OR_RETURN(const Trusted evidence, evidence_kernel(task, bound));
  job.evidence = {evidence.artifact.get(), evidence.plan};
  job.seed = seed;
  job.repeats = 1;
  job.want_expected = true;
  return runners_->check(job);
}

Result<Evaluator::Trusted> Evaluator::evidence_kernel(const Task& task, const BoundCase& bound) {
  if (task.evidence.empty()) return Trusted();
  return trusted_kernel(evidence_task(task), "evidence", evidence_case(bound));
}

Result<std::shared_ptr<const Artifact>> Evaluator::trusted_artifact(const Task& task,
                                                                    const std::string& which) {
  const std::string key = task.id + "/" + which;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = trusted_artifacts_.find(key); found != trusted_artifacts_.end())
      return found->second;
  }
  ASSIGN_OR_RETURN(const Candidate kernel, reference_kernel(task, which));
  CompileRequest request;
  request.source = kernel.source;
  request.file_name = which + ".cu";
  request.entry = entry_source(task);
  request.arch = options_.arch;
  request.want_cubin = on_gpu();
  ASSIGN_OR_RETURN(const CompileOutcome outcome, compiler_->compile(request));
  if (outcome.failure)
    return Error{ErrorKind::internal, fmt::format("{}.cu of task {} does not compile: {}", which,
                                                  task.id, outcome.failure->explanation)};
  const std::lock_guard lock(mutex_);
  return trusted_artifacts_[key] = outcome.artifact;
}

Result<Evaluator::Trusted> Evaluator::trusted_kernel(const Task& task, const std::string& which,
                                                     const BoundCase& bound) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Artifact> artifact, trusted_artifact(task, which));
  const std::string key = fmt::format("{}/{}/{}", task.id, bound.case_name, artifact->key);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = trusted_plans_.find(key); found != trusted_plans_.end())
      return Trusted{std::move(artifact), found->second};
  }
  ASSIGN_OR_RETURN(RecordOutcome recorded, record(*artifact, bound, device_));
  if (recorded.failure)
    return Error{ErrorKind::internal,
                 fmt::format("{}.cu of task {}, case {}, cannot be recorded: {}", which, task.id,
                             bound.case_name, recorded.failure->explanation)};
  if (const auto problem = validate(*recorded.plan, *artifact, bound, device_))
    return Error{ErrorKind::internal, fmt::format("{}.cu of task {}, case {}: {}", which, task.id,
                                                  bound.case_name, problem->explanation)};
  const std::lock_guard lock(mutex_);
  return Trusted{std::move(artifact), trusted_plans_[key] = *std::move(recorded.plan)};
}

}  // namespace assay
