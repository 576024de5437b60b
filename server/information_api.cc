// What there is and how it goes: tasks, prompts, rewards, capacity, health, metrics, the document.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/install.h"
#include "evaluator/signature.h"
#include "server/native_api.h"
#include "server/native_result.h"

namespace assay {

namespace {

using nlohmann::json;
using Connections = std::function<size_t()>;

void tasks(Service& service, const Call& call) {
  json list = json::array();
  for (const Task& task : service.catalogue().tasks)
    list.push_back({{"task_id", task.id},
                    {"title", task.title},
                    {"suite", task.suite},
                    {"level", task.level}});
  reply_json(call.exchange, 200, {{"tasks", list}});
}

/// The task in the path and the language in the query; null after a refusal.
const Task* asked_task(const Service& service, const Call& call, Language& language) {
  const Task* task = service.task(call.parts[0]);
  const Result<Language> asked = requested_language(call.request.parameter("language"));
  if (!task)
    call.exchange->reply(error_reply(404, service.unknown_task(call.parts[0])));
  else if (!asked.ok())
    call.exchange->reply(error_reply(400, asked.error().message));
  else
    language = *asked;
  return asked.ok() ? task : nullptr;
}

void task(Service& service, const Call& call) {
  Language language{};
  const Task* task = asked_task(service, call, language);
  if (!task) return;
  reply_json(call.exchange, 200,
             {{"task_id", task->id},
              {"title", task->title},
              {"suite", task->suite},
              {"level", task->level},
              {"language", name(language)},
              {"statement", statement(*task, language)},
              {"signature", signature(*task, language)}});
}

void prompt(Service& service, const Call& call) {
  Language language{};
  const Task* task = asked_task(service, call, language);
  if (!task) return;
  reply_json(call.exchange, 200,
             {{"task_id", task->id},
              {"language", name(language)},
              {"prompt", service.prompt(*task, language)}});
}

void rewards(Service& service, const Call& call) {
  json list = json::array();
  for (const RewardFormula& formula : service.rewards())
    list.push_back({{"reward_spec", formula.id()},
                    {"formula", formula.about},
                    {"source", formula.source},
                    {"needs_timing", formula.needs_timing},
                    {"available", !formula.needs_timing || service.bench().times()}});
  reply_json(call.exchange, 200, {{"default", service.options().reward}, {"rewards", list}});
}

void capacity(Service& service, const Connections& connections, const Call& call) {
  reply_json(call.exchange, 200,
             capacity_json(service.desk().status(), service.bench(), connections()));
}

void ready(Service& service, const Call& call) {
  const DeskStatus status = service.desk().status();
  std::string reason;
  if (status.draining)
    reason = "this server is about to end";
  else if (std::ranges::none_of(status.lanes, &DeskStatus::Lane::healthy))
    reason = "the last evaluation on every device ended in trouble";
  reply_json(call.exchange, reason.empty() ? 200 : 503,
             {{"ready", reason.empty()}, {"reason", reason}});
}

void metrics(Service& service, const Connections& connections, const Call& call) {
  call.exchange->reply({200,
                        service.metrics().text(service.desk().status(), connections()),
                        "text/plain; version=0.0.4",
                        {}});
}

void document(const Call& call) {
  const auto folder = data_folder("server");
  const Result<std::string> text =
      folder.ok() ? read_file(*folder / "openapi.json") : folder.error();
  if (!text.ok()) return call.exchange->reply(error_reply(500, text.error().message));
  call.exchange->reply({200, *text, "application/json", {}});
}

}  // namespace

void add_information_api(Router& router, Service& service, Connections connections) {
  const auto add = [&](const char* pattern, void (*answer)(Service&, const Call&)) {
    router.add({"GET", pattern, [&service, answer](const Call& call) { answer(service, call); },
                false, true});
  };
  add("/v1/tasks", tasks);
  add("/v1/tasks/{task_id}", task);
  add("/v1/tasks/{task_id}/prompt", prompt);
  add("/v1/rewards", rewards);
  const auto add_counting = [&](const char* pattern,
                                void (*answer)(Service&, const Connections&, const Call&)) {
    router.add(
        {"GET", pattern,
         [&service, connections, answer](const Call& call) { answer(service, connections, call); },
         false, true});
  };
  add_counting("/v1/capacity", capacity);
  add_counting("/metrics", metrics);
  const auto add_open = [&](const char* pattern, std::function<void(const Call&)> answer) {
    router.add({"GET", pattern, std::move(answer), true, false});
  };
  add_open("/readyz", [&service](const Call& call) { ready(service, call); });
  add_open("/healthz", [](const Call& call) {
    reply_json(call.exchange, 200, {{"status", "ok"}});
  });
  add_open("/openapi.json", document);
}

}  // namespace assay
