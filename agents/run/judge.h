// Who says what an answer is worth: the evaluator, or a stand-in in tests and benchmarks.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>

#include "agents/feedback.h"
#include "evaluator/evaluate.h"
#include "reports/store.h"

namespace assay {

struct Judgement {
  int64_t evaluation_id = 0;
  Feedback feedback;
  double device_seconds = 0;  // 0 where the same code was judged before
};

/// Thread-safe.
class Judge {
 public:
  virtual ~Judge() = default;
  /// `code` is what extract_code() found in `answer`; empty where it found none. An Error means
  /// that nothing more can be judged (the store is gone); trouble with this one is harness_error.
  virtual Result<Judgement> judge(const Task& task, const std::string& answer,
                                  const std::string& code) = 0;
};

/// Evaluates into the store. Equal code for one task is evaluated once, also when it comes twice
/// at the same moment.
class EvaluatorJudge : public Judge {
 public:
  EvaluatorJudge(Evaluator& evaluator, Store& store, EvaluateOptions options, std::string arch);
  Result<Judgement> judge(const Task& task, const std::string& answer,
                          const std::string& code) override;

 private:
  Result<std::string> task_digest(const Task& task);

  Evaluator& evaluator_;
  Store& store_;
  const EvaluateOptions options_;
  const std::string arch_;
  const std::string facts_;
  std::mutex mutex_;
  std::condition_variable finished_;
  std::set<std::string> in_flight_;             // keys
  std::map<std::string, std::string> digests_;  // by task id
};

}  // namespace assay
