// A NeMo-Gym resource server, for NeMo-RL, Gym and verifiers' taskset (and so prime-rl).
//
// Traps: the answer echoes responses_create_params and response whole and unchanged; `reward` is a
// float, never null, and equals the sum of reward_components, whose keys are the same for every
// sample; every number at the top becomes a metric. Trouble of ours is 503, which the trainer
// repeats: a masked row would leave its placeholder in the group's baseline. Who wants the row all
// the same (no retries on their side) adds ?on_infra=mask to the URL. An environment with turns
// (/reset, /step) keeps nothing: every step is judged by itself, and a correct one ends the
// episode.
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "server/json_fields.h"
#include "server/protocols/candidate_text.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr double kDefaultLimitSeconds = 600;
constexpr double kLongestLimitSeconds = 3600;

/// All output_text of the response's messages.
std::string text_of(const json& response) {
  std::string text;
  for (const json& item : array_at(response, {"output"}))
    for (const json& content : array_at(item, {"content"}))
      if (string_at(content, {"type"}) == "output_text") text += string_at(content, {"text"});
  return text;
}

void echo(const ordered_json& request, ordered_json& answer) {
  for (const char* key : {"responses_create_params", "response"})
    answer[key] = request.contains(key) ? request[key] : ordered_json::object();
}

void send(const std::shared_ptr<Exchange>& exchange, const ordered_json& answer) {
  exchange->reply({200,
                   answer.dump(-1, ' ', false, ordered_json::error_handler_t::replace),
                   "application/json",
                   {}});
}

enum class Form { verify, step };

struct Verify {
  Form form = Form::verify;
  std::shared_ptr<Exchange> exchange;
  ordered_json request;
  const RewardFormula* formula = nullptr;
  bool mask = false;

  void answer(const Judged& judged) const {
    const auto reward = reward_of(judged, *formula);
    if (!reward) return no_verdict(judged);
    if (form == Form::step) return answer_step(judged, reward->total());
    ordered_json row;
    echo(request, row);
    row["reward"] = reward->total();
    row["reward_components"] = ordered_json::object();
    for (const auto& [name, value] : reward->components) row["reward_components"][name] = value;
    const json metrics = metrics_json(judged);
    for (const auto& [key, value] : metrics.items()) row[key] = value;
    send(exchange, row);
  }
  void answer_step(const Judged& judged, double reward) const {
    const bool correct = judged.verdict == Verdict::correct;
    send(exchange, {{"observation", correct ? ordered_json() : ordered_json(judged.explanation)},
                    {"reward", reward},
                    {"terminated", correct},
                    {"truncated", false},
                    {"info", metrics_json(judged)}});
  }
  void no_verdict(const Judged& judged) const {
    const std::string reason = judged.explanation;
    if (!mask || form == Form::step) {
      ServerReply reply = error_reply(503, "no verdict: " + reason);
      reply.headers.emplace_back("Retry-After", "2");
      return exchange->reply(std::move(reply));
    }
    ordered_json row;
    echo(request, row);
    row.update({{"reward", 0.0},
                {"_ng_failure_class", "infra_error"},
                {"_ng_failure_terminal", false},
                {"mask_sample", true},
                {"instance_config", {{"mask_sample", true}}},
                {"failure_kind", "infra_error"},
                {"failure_reason", reason}});
    send(exchange, row);
  }
};

std::string task_of(const json& row, const ServerRequest& request) {
  std::string task = string_at(row, {"verifier_metadata", "task_id"});
  if (task.empty()) task = string_at(row, {"task_id"});
  return task.empty() ? request.parameter("task") : task;
}

void judge_row(Service& service, const Call& call, Form form) {
  const auto refuse = [&](const Error& error) {
    call.exchange->reply(error_reply(http_status(error), error.message));
  };
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(body.error());
  const std::string task = task_of(*body, call.request);
  std::string reward = string_at(*body, {"verifier_metadata", "reward_spec"});
  if (reward.empty()) reward = call.request.parameter("reward");
  if (!json_at(*body, {"response", "output"}))
    return refuse({ErrorKind::invalid, "response.output is missing"});
  Result<Wanted> wanted = service.want_completion(task, reward, text_of((*body)["response"]));
  if (!wanted.ok()) return refuse(wanted.error());
  const auto state = std::make_shared<Verify>();
  state->form = form;
  state->exchange = call.exchange;
  state->request = ordered_json::parse(call.request.body, nullptr, false);
  state->formula = wanted->reward;
  state->mask = call.request.parameter("on_infra") == "mask";
  const double limit = std::strtod(call.request.parameter("limit").c_str(), nullptr);
  wanted->order.client = call.request.client;
  wanted->order.deadline =
      seconds_from_now(limit > 0 && limit <= kLongestLimitSeconds ? limit : kDefaultLimitSeconds);
  const Desk::Placed placed = service.desk().place(
      wanted->order, [state](const JudgedPointer& judged) { state->answer(*judged); });
  if (!placed.refusal) return;
  ServerReply reply = error_reply(placed.refusal->status, placed.refusal->message);
  reply.headers.emplace_back("Retry-After", "2");
  call.exchange->reply(std::move(reply));
}

void verify(Service& service, const Call& call) { judge_row(service, call, Form::verify); }
void step(Service& service, const Call& call) { judge_row(service, call, Form::step); }

void reset(Service& service, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return call.exchange->reply(error_reply(400, body.error().message));
  const std::string id = task_of(*body, call.request);
  const Task* task = service.task(id);
  if (!task) return call.exchange->reply(error_reply(404, service.unknown_task(id)));
  const Result<Language> language = requested_language(call.request.parameter("language"));
  if (!language.ok()) return call.exchange->reply(error_reply(400, language.error().message));
  reply_json(call.exchange, 200,
             {{"observation", service.prompt(*task, *language)}, {"info", json::object()}});
}

/// Means of every number over the rows that are not failures.
void aggregate(Service&, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return call.exchange->reply(error_reply(400, body.error().message));
  std::map<std::string, std::pair<double, int>> sums;
  for (const json& row : array_at(*body, {"verify_responses"})) {
    if (!row.is_object() || row.contains("_ng_failure_class")) continue;
    for (const auto& [key, value] : row.items()) {
      if (key.starts_with("_ng") || !value.is_number()) continue;
      sums[key].first += value.get<double>();
      ++sums[key].second;
    }
  }
  json means = json::object();
  for (const auto& [key, sum] : sums) means["mean/" + key] = sum.first / sum.second;
  json key_metrics = json::object();
  if (means.contains("mean/reward")) key_metrics["mean/reward"] = means["mean/reward"];
  reply_json(call.exchange, 200,
             {{"group_level_metrics", json::array()},
              {"agent_metrics", means},
              {"key_metrics", key_metrics}});
}

}  // namespace

void add_nemo_gym(Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path,
                       void (*answer)(Service&, const Call&)) {
    router.add({method, path, [&service, answer](const Call& call) { answer(service, call); },
                false, true});
  };
  add("POST", "/nemo-gym/verify", verify);
  add("POST", "/nemo-gym/reset", reset);
  add("POST", "/nemo-gym/step", step);
  add("POST", "/nemo-gym/aggregate_metrics", aggregate);
  add("POST", "/nemo-gym/seed_session",
      [](Service&, const Call& call) { reply_json(call.exchange, 200, json::object()); });
  add("GET", "/nemo-gym/reverify_mode",
      [](Service&, const Call& call) { reply_json(call.exchange, 200, "stateless"); });
  add("GET", "/nemo-gym", [](Service&, const Call& call) {
    reply_json(call.exchange, 200, {{"status", "ok"}});
  });
}

}  // namespace assay
