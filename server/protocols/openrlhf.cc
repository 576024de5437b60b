// OpenRLHF's remote reward model (--reward.remote_url).
//
// Traps: any number of samples, also none (the second and later URLs of a list get empty arrays and
// must answer 200); `query` holds the prompt; a failed call is repeated five times and then kills
// the trainer, so a sample is held up to 170 of the client's 180 seconds; extra_logs become
// tensors: numbers only, the same keys for every sample.
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "server/json_fields.h"
#include "server/protocols/candidate_text.h"
#include "server/protocols/parked.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr double kLimitSeconds = 170;
constexpr size_t kMostSamples = 4096;

std::string text_at(const json* list, size_t index) {
  if (!list || index >= list->size()) return "";
  const json& value = (*list)[index];
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

/// A request's samples until all have a verdict.
struct Samples {
  std::shared_ptr<Exchange> exchange;
  std::mutex mutex;
  std::vector<JudgedPointer> judged;
  std::vector<const RewardFormula*> rewards;
  size_t left = 0;
  bool failed = false;

  void tell(size_t index, JudgedPointer one) {
    const std::lock_guard lock(mutex);
    if (!one || !reward_of(*one, *rewards[index])) failed = true;
    judged[index] = std::move(one);
    if (--left == 0) answer();
  }
  void answer() {
    // No number instead of a made-up one: the client tries again and joins what still runs.
    if (failed)
      return exchange->reply(error_reply(500, "no verdict yet for some samples; try again"));
    json values = json::array(), scores = json::array(), logs = json::object();
    for (size_t i = 0; i < judged.size(); ++i) {
      const double reward = reward_of(*judged[i], *rewards[i])->total();
      values.push_back(reward);
      scores.push_back(std::clamp(reward, 0.0, 1.0));
      const json metrics = metrics_json(*judged[i]);
      for (const auto& [key, value] : metrics.items()) logs[key].push_back(value);
    }
    reply_json(exchange, 200, {{"rewards", values}, {"scores", scores}, {"extra_logs", logs}});
  }
};

void get_reward(Service& service, const Call& call) {
  const auto refuse = [&](const Error& error) {
    call.exchange->reply(error_reply(http_status(error), error.message));
  };
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(body.error());
  JsonFields fields(*body);
  const json* queries = fields.array("query");
  const json* prompts = fields.array("prompts");
  const json* labels = fields.array("labels");
  if (!queries) fields.complain("query", "must be an array of strings");
  if (queries && queries->size() > kMostSamples) fields.complain("query", "is longer than 4096");
  if (!fields.complaint().empty()) return refuse({ErrorKind::invalid, fields.complaint()});
  std::vector<Wanted> wanted;
  for (size_t i = 0; i < queries->size(); ++i) {
    const Label label = label_of(text_at(labels, i), call.request);
    Result<Wanted> one = service.want_completion(
        label.task_id, label.reward, response_of(text_at(queries, i), text_at(prompts, i)));
    if (!one.ok()) return refuse(one.error());
    one->order.client = call.request.client;
    wanted.push_back(*std::move(one));
  }
  const auto samples = std::make_shared<Samples>();
  samples->exchange = call.exchange;
  samples->left = wanted.size();
  samples->judged.resize(wanted.size());
  for (const Wanted& one : wanted) samples->rewards.push_back(one.reward);
  if (wanted.empty()) return samples->answer();
  for (size_t i = 0; i < wanted.size(); ++i)
    judge_parked(service, wanted[i], kLimitSeconds,
                 [samples, i](JudgedPointer one) { samples->tell(i, std::move(one)); });
}

}  // namespace

void add_openrlhf(Router& router, Service& service) {
  // The user writes the URL: whatever stands behind the prefix is theirs.
  router.add({"POST", "/openrlhf/*", [&service](const Call& call) { get_reward(service, call); }});
}

}  // namespace assay
