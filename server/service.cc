#include "server/service.h"

#include <fmt/format.h>

#include "evaluator/extract.h"
#include "tasks/nearest.h"

namespace assay {

Service::Service(ServiceOptions options, Catalogue catalogue, PromptBook prompts, DeviceInfo device,
                 Bench& bench, Desk& desk, Journal& journal, Metrics& metrics)
    : options_(std::move(options)),
      catalogue_(std::move(catalogue)),
      prompts_(std::move(prompts)),
      device_(std::move(device)),
      bench_(bench),
      desk_(desk),
      journal_(journal),
      metrics_(metrics),
      rewards_(reward_formulas()) {
  for (const Task& task : catalogue_.tasks) tasks_[task.id] = &task;
}

Result<void> Service::prepare() {
  for (const std::string& file : options_.reward_files) {
    ASSIGN_OR_RETURN(RewardFormula formula, load_reward(file));
    rewards_.push_back(std::move(formula));
  }
  if (const auto found = reward(""); !found.ok()) return found.error();
  return {};
}

const Task* Service::task(const std::string& id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second;
}

std::string Service::unknown_task(const std::string& id) const {
  std::vector<std::string> known;
  for (const auto& [name, one] : tasks_) known.push_back(name);
  return fmt::format("there is no task {}{}; GET /v1/tasks lists them", in_quotes(id),
                     suggestion(id, known));
}

Result<const RewardFormula*> Service::reward(const std::string& name) const {
  const std::string& wanted = name.empty() ? options_.reward : name;
  const RewardFormula* found = nullptr;
  std::vector<std::string> known;
  for (const RewardFormula& formula : rewards_) {
    known.push_back(formula.id());
    if (formula.id() != wanted && formula.name != wanted) continue;
    if (!found || found->version < formula.version) found = &formula;
  }
  if (!found)
    return Error{ErrorKind::usage,
                 fmt::format("there is no reward {}{}; GET /v1/rewards lists them",
                             in_quotes(wanted), suggestion(wanted, known))};
  if (found->needs_timing && !bench_.times())
    return Error{ErrorKind::usage,
                 fmt::format("reward {} needs timing, and this server ({}) does not time; use "
                             "assay-v1 or correct, or serve a GPU",
                             found->id(), bench_.device_name())};
  return found;
}

Result<Wanted> Service::want(const std::string& task_id, const std::string& reward_name) const {
  Wanted wanted;
  wanted.task = task(task_id);
  if (!wanted.task) return Error{ErrorKind::not_found, unknown_task(task_id)};
  ASSIGN_OR_RETURN(wanted.reward, reward(reward_name));
  return wanted;
}

Result<Wanted> Service::want_completion(const std::string& task_id, const std::string& reward_name,
                                        const std::string& completion) const {
  ASSIGN_OR_RETURN(Wanted wanted, want(task_id, reward_name));
  Extraction extraction = extract_code(completion);
  wanted.code = std::move(extraction.code);
  wanted.extraction = std::move(extraction.how);
  // Equal code in different prose is one evaluation; without code the text itself is the candidate.
  wanted.order.is_answer = wanted.code.empty();
  wanted.order.source = wanted.code.empty() ? completion : wanted.code;
  wanted.order.task = wanted.task;
  ASSIGN_OR_RETURN(wanted.order.key,
                   bench_.key(*wanted.task, wanted.order.source, wanted.order.is_answer));
  return wanted;
}

Result<Wanted> Service::want_code(const std::string& task_id, const std::string& reward_name,
                                  const std::string& code) const {
  ASSIGN_OR_RETURN(Wanted wanted, want(task_id, reward_name));
  wanted.code = code;
  wanted.extraction = "file";
  wanted.order.source = code;
  wanted.order.task = wanted.task;
  ASSIGN_OR_RETURN(wanted.order.key, bench_.key(*wanted.task, code, false));
  return wanted;
}

std::string Service::prompt(const Task& task, Language language) const {
  const PromptValues values = task_values(task, device_, language);
  return plain_text(prompts_.render("system", values),
                    {{Speaker::user, prompts_.render("task", values)}});
}

Result<Language> requested_language(const std::string& name) {
  if (name.empty()) return Language::cuda;
  if (const auto language = language_from_name(name)) return *language;
  return Error{ErrorKind::invalid,
               fmt::format("the language {} is not evaluated here; cuda and triton are",
                           in_quotes(name.substr(0, 40)))};
}

int http_status(const Error& error) {
  switch (error.kind) {
    case ErrorKind::not_found:
      return 404;
    case ErrorKind::usage:
    case ErrorKind::invalid:
      return 400;
    default:
      return 500;
  }
}

}  // namespace assay
