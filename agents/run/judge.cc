#include "agents/run/judge.h"

#include "base/digest.h"
#include "reports/facts.h"

namespace assay {

EvaluatorJudge::EvaluatorJudge(Evaluator& evaluator, Store& store, EvaluateOptions options,
                               std::string arch)
    : evaluator_(evaluator),
      store_(store),
      options_(std::move(options)),
      arch_(std::move(arch)),
      facts_(facts_json(evaluator)) {}

Result<std::string> EvaluatorJudge::task_digest(const Task& task) {
  const std::lock_guard lock(mutex_);
  std::string& digest = digests_[task.id];
  if (digest.empty()) {
    ASSIGN_OR_RETURN(digest, Evaluator::task_digest(task));
  }
  return digest;
}

Result<Judgement> EvaluatorJudge::judge(const Task& task, const std::string& answer,
                                        const std::string& code) {
  Candidate candidate{"", code.empty() ? answer : code, code.empty()};
  EvaluationKey key;
  ASSIGN_OR_RETURN(key.task_digest, task_digest(task));
  key.source_digest = sha256(candidate.source);
  key.candidate = candidate.name = key.source_digest.substr(0, 12);
  key.device_id = evaluator_.device().id;
  key.arch = arch_;
  key.options = options_text(options_);
  const std::string digest = key.digest();
  {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return !in_flight_.contains(digest); });
    in_flight_.insert(digest);
  }
  const auto evaluated = [&]() -> Result<Judgement> {
    ASSIGN_OR_RETURN(std::optional<EvaluationSummary> summary, store_.find(key));
    Judgement judgement;
    if (!summary) {
      const Evaluation evaluation = evaluator_.evaluate(task, candidate, options_);
      ASSIGN_OR_RETURN(const int64_t id, store_.add(key, evaluation, facts_));
      ASSIGN_OR_RETURN(summary, store_.find(id));
      judgement.device_seconds = summary->check_ms / 1000;
    }
    // Feedback comes from the store alone, so that it can be made again later.
    ASSIGN_OR_RETURN(const Evaluation stored, read_evaluation(store_, *summary));
    ASSIGN_OR_RETURN(const auto speed, speeds(store_, summary->id));
    const auto found = speed.find(summary->id);
    judgement.evaluation_id = summary->id;
    judgement.feedback =
        make_feedback(stored, found == speed.end() ? std::nullopt : std::optional(found->second));
    return judgement;
  };
  Result<Judgement> judgement = evaluated();
  {
    const std::lock_guard lock(mutex_);
    in_flight_.erase(digest);
  }
  finished_.notify_all();
  return judgement;
}

}  // namespace assay
