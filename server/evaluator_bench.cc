#include "server/evaluator_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/digest.h"
#include "reports/facts.h"
#include "reports/reward_facts.h"

namespace assay {

namespace {

constexpr size_t kLogBytes = 4096;
constexpr int kMostGpus = 64;

/// Adds the time since the last change of stage to the stage that ends.
class StageClock {
 public:
  explicit StageClock(StageTimes& times) : times_(times) {}
  void enter(Stage stage) {
    const auto now = std::chrono::steady_clock::now();
    const double elapsed = std::chrono::duration<double, std::milli>(now - since_).count();
    if (stage_ == Stage::compile) times_.compile_ms += elapsed;
    if (stage_ == Stage::record) times_.record_ms += elapsed;
    if (stage_ == Stage::check) times_.correctness_ms += elapsed;
    if (stage_ == Stage::time) times_.timing_ms += elapsed;
    stage_ = stage;
    since_ = now;
  }

 private:
  StageTimes& times_;
  Stage stage_ = Stage::extract;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

Phase phase_of(Stage stage) {
  switch (stage) {
    case Stage::extract:
    case Stage::compile:
      return Phase::compiling;
    case Stage::record:
    case Stage::check:
      return Phase::checking;
    case Stage::time:
      return Phase::timing;
    case Stage::done:
      return Phase::done;
  }
  return Phase::done;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

Result<void> EvaluatorBench::add_lane(const std::string& device, int runners) {
  Evaluator::Options options;
  options.device = device;
  options.arch = options_.arch;
  options.runners = runners;
  ASSIGN_OR_RETURN(auto evaluator, Evaluator::create(options));
  const std::string facts = facts_json(*evaluator);
  lanes_.push_back({device, std::move(evaluator), facts});
  return {};
}

Result<std::unique_ptr<EvaluatorBench>> EvaluatorBench::create(const Options& options,
                                                               Store& store) {
  std::unique_ptr<EvaluatorBench> bench(new EvaluatorBench(options, store));
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int runners = options.runners > 0 ? options.runners : cores;
  const int compilers = options.compilers > 0 ? options.compilers : cores;
  if (options.device == "virtual") {
    RETURN_IF_ERROR(bench->add_lane("virtual", runners));
    // Its device is the same cores: one more in hand than runners hides waits, not more.
    bench->workers_ =
        static_cast<size_t>(options.compilers > 0 ? runners + compilers : runners + 1);
    return bench;
  }
  if (options.device == "cuda") {
    RETURN_IF_ERROR(bench->add_lane("cuda:0", 1));
    for (int gpu = 1; gpu < kMostGpus; ++gpu)
      if (!bench->add_lane(fmt::format("cuda:{}", gpu), 1).ok()) break;
  } else {
    for (const std::string& device : split(options.device))
      RETURN_IF_ERROR(bench->add_lane(device, 1));
  }
  if (bench->lanes_.empty())
    return Error{ErrorKind::usage,
                 fmt::format("'{}' names no device; use virtual, cuda:N, several with commas, or "
                             "cuda",
                             options.device)};
  bench->workers_ =
      1 + static_cast<size_t>(std::max(1, compilers / static_cast<int>(bench->lanes_.size())));
  return bench;
}

bool EvaluatorBench::times() const {
  return lanes_.front().evaluator->on_gpu() && !options_.evaluate.budget.empty();
}

std::string EvaluatorBench::device_name() const { return device().name; }

Result<EvaluationKey> EvaluatorBench::evaluation_key(const Task& task, const std::string& source,
                                                     bool is_answer) {
  EvaluationKey key;
  {
    const std::lock_guard lock(mutex_);
    std::string& digest = digests_[task.id];
    if (digest.empty()) {
      ASSIGN_OR_RETURN(digest, Evaluator::task_digest(task));
    }
    key.task_digest = digest;
  }
  key.source_digest = sha256(source);
  key.candidate = (is_answer ? "answer-" : "") + key.source_digest.substr(0, 12);
  // GPUs of one kind are one device to the key: any of them may do it.
  key.device_id = device_name();
  key.arch = lanes_.front().evaluator->arch();
  key.options = options_text(options_.evaluate);
  return key;
}

Result<std::string> EvaluatorBench::key(const Task& task, const std::string& source,
                                        bool is_answer) {
  ASSIGN_OR_RETURN(const EvaluationKey key, evaluation_key(task, source, is_answer));
  return key.digest();
}

Result<std::optional<Judged>> EvaluatorBench::stored(const std::string& key) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> id, store_.find_id(key));
  if (!id) return std::optional<Judged>();
  ASSIGN_OR_RETURN(Judged judged, read(*id));
  return std::optional<Judged>(std::move(judged));
}

Result<Judged> EvaluatorBench::read(int64_t evaluation_id) {
  ASSIGN_OR_RETURN(const auto summary, store_.find(evaluation_id));
  ASSIGN_OR_RETURN(auto facts, reward_facts(store_, evaluation_id));
  const auto found = facts.find(evaluation_id);
  if (!summary || found == facts.end())
    return Error{ErrorKind::io, fmt::format("the store lost evaluation {}", evaluation_id)};
  Judged judged;
  judged.facts = std::move(found->second);
  judged.verdict = verdict_of(judged.facts.outcome);
  judged.task_id = summary->task_id;
  judged.explanation = summary->explanation;
  judged.device = device_name();
  judged.worker = summary->device_id;
  judged.evaluation_id = evaluation_id;
  if (!summary->compile_log_digest.empty()) {
    ASSIGN_OR_RETURN(judged.compile_log, store_.blob(summary->compile_log_digest));
    if (judged.compile_log.size() > kLogBytes) judged.compile_log.resize(kLogBytes);
  }
  return judged;
}

Judged EvaluatorBench::evaluate(size_t lane, const std::string& key, const Task& task,
                                const std::string& source, bool is_answer,
                                const PhaseListener& listener) {
  Lane& device = lanes_[lane];
  StageTimes times;
  StageClock clock(times);
  Phase phase = Phase::queued;
  const auto evaluated = [&]() -> Result<Judged> {
    ASSIGN_OR_RETURN(EvaluationKey stored_key, evaluation_key(task, source, is_answer));
    if (stored_key.digest() != key)
      return Error{ErrorKind::internal, "the task changed while its evaluation was waiting"};
    const Candidate candidate{stored_key.candidate, source, is_answer};
    const Evaluation evaluation = device.evaluator->evaluate(
        task, candidate, options_.evaluate, [&](Stage stage, const std::string&) {
          clock.enter(stage);
          const Phase now = phase_of(stage);
          if (now == phase || now == Phase::done) return;
          phase = now;
          listener(now);
        });
    ASSIGN_OR_RETURN(const int64_t id, store_.add(stored_key, evaluation, device.facts));
    return read(id);
  };
  Result<Judged> judged = evaluated();
  if (!judged.ok()) {
    Judged trouble;
    trouble.task_id = task.id;
    trouble.explanation = judged.error().message;
    trouble.device = device_name();
    judged = std::move(trouble);
  }
  judged->worker = device.name;
  judged->times = times;
  return *std::move(judged);
}

}  // namespace assay
