// SandboxFusion's /run_code and /submit, as verl's sandbox_fusion reward, its SDK and agents call
// them.
//
// A candidate stands where the program would: `code` is the candidate, `stdin` says the task (its
// id, or a label as for OpenRLHF), and the program prints its verdict. A data set for verl
// therefore has inputs ["vector-add"] and outputs ["correct"], whatever `language` says (verl
// always says python).
//
// Traps: verl repeats 504 and nothing else; any other failure and SandboxError count as reward 0.
// So trouble of ours is 504, after all the time that the client gives: both time limits and 5 of
// the 10 seconds it adds. A candidate's own failure is `Failed` with `Finished` and an exit code,
// or `TimeLimitExceeded`; never `Error`.
#include <openssl/evp.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "server/json_fields.h"
#include "server/native_result.h"
#include "server/protocols/candidate_text.h"
#include "server/protocols/parked.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr double kDefaultStepSeconds = 10;
constexpr double kLongestStepSeconds = 3600;

std::string base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

json command(const char* status, double milliseconds, const json& exit_code,
             const std::string& output, const std::string& errors) {
  return {{"status", status},
          {"execution_time", milliseconds / 1000},
          {"return_code", exit_code},
          {"stdout", output},
          {"stderr", errors}};
}

/// How the "program" went.
json run_json(const Judged& judged, const std::string& id, const RewardFormula& formula,
              const json* fetch_files) {
  const std::string verdict(name(judged.verdict));
  const StageTimes& times = judged.times;
  json compile, run;
  const bool compile_failed =
      judged.verdict == Verdict::compile_error || judged.verdict == Verdict::format;
  if (compile_failed) {
    compile = command("Finished", times.compile_ms, 1, "",
                      judged.explanation + "\n" + judged.compile_log);
  } else {
    const bool correct = judged.verdict == Verdict::correct;
    const bool slow = judged.verdict == Verdict::timeout_candidate;
    compile = command("Finished", times.compile_ms, 0, "", "");
    run = command(slow ? "TimeLimitExceeded" : "Finished",
                  times.record_ms + times.correctness_ms + times.timing_ms,
                  slow ? json() : json(correct ? 0 : 1), verdict + "\n", judged.explanation);
  }
  json files = json::object();
  if (fetch_files)
    for (const json& file : *fetch_files)
      if (file == "result.json")
        files["result.json"] = base64(json_text(result_json(id, judged, formula)));
  return {{"status", judged.verdict == Verdict::correct ? "Success" : "Failed"},
          {"message", judged.verdict == Verdict::correct ? "" : judged.explanation},
          {"compile_result", compile},
          {"run_result", run},
          {"executor_pod_name", nullptr},
          {"files", files}};
}

double seconds_of(JsonFields& fields, const char* key) {
  return std::clamp(fields.number(key).value_or(kDefaultStepSeconds), 0.0, kLongestStepSeconds);
}

void refuse(const std::shared_ptr<Exchange>& exchange, const Error& error) {
  exchange->reply(error_reply(http_status(error), error.message));
}

void no_verdict(const std::shared_ptr<Exchange>& exchange) {
  exchange->reply(error_reply(504, "no verdict in the time given; try again"));
}

void run_code(Service& service, const Call& call) {
  Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(call.exchange, body.error());
  const auto request = std::make_shared<const json>(*std::move(body));
  JsonFields fields(*request);
  const std::string code = fields.text("code");
  const std::string input = fields.text("stdin");
  const double limit =
      seconds_of(fields, "compile_timeout") + seconds_of(fields, "run_timeout") + 5;
  const json* fetch_files = fields.array("fetch_files");
  if (!request->contains("code")) fields.complain("code", "is missing");
  if (!fields.complaint().empty())
    return refuse(call.exchange, {ErrorKind::invalid, fields.complaint()});
  const std::string trimmed = input.substr(0, input.find_last_not_of(" \r\n\t") + 1);
  const Label label = label_of(trimmed, call.request);
  Result<Wanted> wanted = service.want_code(label.task_id, label.reward, code);
  if (!wanted.ok()) return refuse(call.exchange, wanted.error());
  wanted->order.client = call.request.client;
  judge_parked(service, *wanted, limit,
               [exchange = call.exchange, request, fetch_files,
                formula = wanted->reward](const JudgedPointer& judged) {
                 if (!judged) return no_verdict(exchange);
                 reply_json(exchange, 200, run_json(*judged, "", *formula, fetch_files));
               });
}

/// The task that `id` means in a data set (a suite): its id, or its place in it.
const Task* task_of(const Service& service, const std::string& dataset, const json& id) {
  if (id.is_string()) return service.task(id.get<std::string>());
  const auto suite = service.catalogue().suites.find(dataset);
  if (!id.is_number_unsigned() || suite == service.catalogue().suites.end()) return nullptr;
  const auto place = id.get<size_t>();
  return place < suite->second.size() ? service.task(suite->second[place]) : nullptr;
}

void submit(Service& service, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(call.exchange, body.error());
  JsonFields fields(*body);
  const std::string dataset = fields.text("dataset");
  const std::string completion = fields.text("completion");
  const json none = json::object();
  const json* config = fields.object("config");
  JsonFields settings(config ? *config : none, "config.");
  const double limit =
      seconds_of(settings, "compile_timeout") + seconds_of(settings, "run_timeout") + 5;
  const json id = body->value("id", json());
  if (!body->contains("completion")) fields.complain("completion", "is missing");
  if (!fields.complaint().empty() || !settings.complaint().empty())
    return refuse(call.exchange, {ErrorKind::invalid, fields.complaint() + settings.complaint()});
  const Task* task = task_of(service, dataset, id);
  if (!task)
    return refuse(call.exchange,
                  {ErrorKind::not_found,
                   service.unknown_task(id.is_string() ? id.get<std::string>() : json_text(id))});
  Result<Wanted> wanted =
      service.want_completion(task->id, call.request.parameter("reward"), completion);
  if (!wanted.ok()) return refuse(call.exchange, wanted.error());
  wanted->order.client = call.request.client;
  const std::string extracted = wanted->extraction == "fenced_block"         ? "fenced"
                                : wanted->extraction == "unterminated_block" ? "incomplete_fenced"
                                : wanted->code.empty()                       ? "empty"
                                                                             : "heuristic";
  judge_parked(
      service, *wanted, limit,
      [exchange = call.exchange, id, extracted, code = wanted->code,
       formula = wanted->reward](const JudgedPointer& judged) {
        if (!judged) return no_verdict(exchange);
        const bool accepted = judged->verdict == Verdict::correct;
        reply_json(exchange, 200,
                   {{"id", id},
                    {"accepted", accepted},
                    {"extracted_code", code},
                    {"full_code", nullptr},
                    {"test_code", nullptr},
                    {"extracted_type", extracted},
                    {"extra", metrics_json(*judged)},
                    {"tests", json::array({{{"passed", accepted},
                                            {"exec_info", run_json(*judged, "", *formula, nullptr)},
                                            {"test_info", nullptr}}})}});
      });
}

/// The suite of a request's `dataset`; null after a refusal.
const std::vector<std::string>* suite_of(const Service& service, const Call& call,
                                         const json& body) {
  JsonFields fields(body);
  const std::string dataset = fields.text("dataset");
  const auto found = service.catalogue().suites.find(dataset);
  if (found != service.catalogue().suites.end()) return &found->second;
  refuse(call.exchange, {ErrorKind::not_found, "there is no dataset '" + dataset.substr(0, 60) +
                                                   "'; GET list_datasets lists them"});
  return nullptr;
}

json prompt_json(const Service& service, const std::string& id) {
  return {{"id", id}, {"prompt", service.prompt(*service.task(id))}, {"labels", json::object()}};
}

void list_ids(Service& service, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(call.exchange, body.error());
  if (const auto* suite = suite_of(service, call, *body))
    reply_json(call.exchange, 200, json(*suite));
}

void get_prompts(Service& service, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(call.exchange, body.error());
  const auto* suite = suite_of(service, call, *body);
  if (!suite) return;
  JsonFields fields(*body);
  const double size = static_cast<double>(suite->size());
  const auto first =
      static_cast<size_t>(std::clamp(fields.number("offset").value_or(0), 0.0, size));
  const auto count =
      static_cast<size_t>(std::clamp(fields.number("limit").value_or(1e9), 0.0, size));
  json prompts = json::array();
  for (size_t i = first; i < std::min(suite->size(), first + count); ++i)
    prompts.push_back(prompt_json(service, (*suite)[i]));
  reply_json(call.exchange, 200, prompts);
}

void get_prompt_by_id(Service& service, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(call.exchange, body.error());
  JsonFields fields(*body);
  const Task* task = task_of(service, fields.text("dataset"), body->value("id", json()));
  if (!task) return refuse(call.exchange, {ErrorKind::not_found, "there is no task with this id"});
  reply_json(call.exchange, 200, prompt_json(service, task->id));
}

}  // namespace

void add_sandbox_fusion(Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path,
                       void (*answer)(Service&, const Call&)) {
    router.add({method, path, [&service, answer](const Call& call) { answer(service, call); }});
  };
  add("POST", "/sandbox/run_code", run_code);
  add("POST", "/sandbox/submit", submit);
  add("POST", "/sandbox/list_ids", list_ids);
  add("POST", "/sandbox/get_prompts", get_prompts);
  add("POST", "/sandbox/get_prompt_by_id", get_prompt_by_id);
  add("GET", "/sandbox/list_datasets", [](Service& all, const Call& call) {
    json names = json::array();
    for (const auto& [suite, ids] : all.catalogue().suites) names.push_back(suite);
    reply_json(call.exchange, 200, names);
  });
  add("GET", "/sandbox/v1/ping",
      [](Service&, const Call& call) { reply_json(call.exchange, 200, "pong"); });
}

}  // namespace assay
