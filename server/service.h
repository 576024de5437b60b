// What all protocols share: tasks, rewards, the desk, and the way from a request to an order.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agents/prompt.h"
#include "base/result.h"
#include "evaluator/score/rewards.h"
#include "server/desk.h"
#include "server/http/http.h"
#include "server/journal.h"
#include "server/metrics.h"
#include "tasks/task.h"

namespace assay {

struct ServiceOptions {
  std::string reward = "assay-v1";                // where a request names none
  std::vector<std::string> reward_files;          // users' own
  double deadline_seconds = 600;                  // of requests that name none
  double grace_seconds = 60;                      // work of a lost connection goes on for so long
  bool kernelgym_compile_error_completes = true;  // else "failed", as the original does
};

/// A candidate on its way to the desk.
struct Wanted {
  const Task* task = nullptr;
  const RewardFormula* reward = nullptr;
  std::string code;        // what was extracted; empty: no usable code
  std::string extraction;  // how
  Order order;             // with key, source and the fields that the request sets
};

class Service {
 public:
  Service(ServiceOptions options, Catalogue catalogue, PromptBook prompts, DeviceInfo device,
          Bench& bench, Desk& desk, Journal& journal, Metrics& metrics);
  /// Loads the users' rewards and checks that the default one exists and can be had here.
  Result<void> prepare();

  /// The task with this id or number in a suite's order; null where there is none.
  const Task* task(const std::string& id) const;
  /// "there is no task X; did you mean ...".
  std::string unknown_task(const std::string& id) const;
  /// Empty: the default. Errors: unknown, or it needs timing and this device does not time.
  Result<const RewardFormula*> reward(const std::string& name) const;
  const std::vector<RewardFormula>& rewards() const { return rewards_; }

  /// Extracts code from a model's text, and makes the order.
  Result<Wanted> want_completion(const std::string& task_id, const std::string& reward,
                                 const std::string& completion) const;
  /// The same for code as it is.
  Result<Wanted> want_code(const std::string& task_id, const std::string& reward,
                           const std::string& code) const;

  /// The prompt that agents get for this task.
  std::string prompt(const Task& task, Language language = Language::cuda) const;

  const ServiceOptions& options() const { return options_; }
  const Catalogue& catalogue() const { return catalogue_; }
  Bench& bench() const { return bench_; }
  Desk& desk() const { return desk_; }
  Journal& journal() const { return journal_; }
  Metrics& metrics() const { return metrics_; }

 private:
  Result<Wanted> want(const std::string& task_id, const std::string& reward) const;

  const ServiceOptions options_;
  const Catalogue catalogue_;
  const PromptBook prompts_;
  const DeviceInfo device_;
  Bench& bench_;
  Desk& desk_;
  Journal& journal_;
  Metrics& metrics_;
  std::map<std::string, const Task*> tasks_;
  std::vector<RewardFormula> rewards_;
};

/// 400, 404 ... for an Error of the functions above.
int http_status(const Error& error);

/// A language by its name; cuda where there is none. invalid: another name.
Result<Language> requested_language(const std::string& name);

}  // namespace assay
