// KernelGYM's API, as the Dr.Kernel trainer calls it: submit, poll the status, fetch the result.
//
// Its requests hold a PyTorch reference, not a task of ours. The data set says the task: a comment
// line "assay: task=ID" in reference_code, or `uuid` with the task's id, or ?task=ID in the URL.
//
// Traps: retries reuse the task_id; a status other than completed becomes the penalty score, so
// trouble of ours stays `processing` and is tried again until the task's own timeout, and only then
// is `failed` with SYSTEM_ERROR; a refused id is remembered, because the client goes on polling it;
// `speedup` is 0 unless correct; the plural metadata names are what its coverage is computed from;
// compile errors are `completed` with compiled:false unless the server was told to fail them. The
// client never submits again what was taken once, it only polls: submissions are in the journal,
// and one that a restart cut short is taken again when it is asked for.
#include <algorithm>
#include <ctime>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "server/json_fields.h"
#include "server/native_result.h"
#include "server/protocols/parked.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr size_t kMostRecords = 20'000;
constexpr size_t kMostBatch = 100;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return text;
}

/// What a task_id came to.
struct Record {
  std::string task_id, key, status = "pending", backend, submitted_at = utc_now(), completed_at;
  std::string error_message, error_code;
  JudgedPointer judged;
  std::optional<double> reward;

  bool finished() const { return status != "pending" && status != "processing"; }
};

json nullable(const std::string& text) { return text.empty() ? json() : json(text); }

const char* error_code_of(const Judged& judged) {
  switch (judged.verdict) {
    case Verdict::compile_error:
      return "COMPILATION_ERROR";
    case Verdict::format:
      return "SYNTAX_ERROR";
    case Verdict::runtime_error:
      return "RUNTIME_ERROR";
    case Verdict::incorrect:
      return "CORRECTNESS_ERROR";
    case Verdict::timeout_candidate:
      return "TIMEOUT_ERROR";
    default:
      return "";
  }
}

json result_body(const Record& record, const Bench& bench) {
  static const Judged none;
  const Judged& judged = record.judged ? *record.judged : none;
  const RewardFacts& facts = judged.facts;
  const bool known = record.judged != nullptr;
  const bool correct = known && facts.correct();
  const bool timed = correct && facts.timed;
  const double total_us = timed ? std::max(facts.kernel_us, 1e-3) : 0;
  return {
      {"task_id", record.task_id},
      {"status", record.status},
      {"compiled", known && facts.compiled},
      {"correctness", correct},
      {"decoy_kernel", known && judged.verdict == Verdict::hack},
      {"reference_runtime", timed ? facts.reference_us / 1000 : 0.0},
      {"kernel_runtime", timed ? facts.kernel_us / 1000 : 0.0},
      {"speedup", timed ? facts.speedup : 0.0},
      {"metadata",
       {{"device", judged.worker},
        {"gpu_name", bench.device_name()},
        {"backend", record.backend},
        // Every launch of a replayed plan is the candidate's own kernel.
        {"num_custom_kernels", correct ? 1 : 0},
        {"num_total_kernels", correct ? 1 : 0},
        {"custom_kernel_cuda_time_in_profiling_us", total_us * facts.time_coverage},
        {"total_kernel_run_time_in_profiling_us", total_us},
        {"assay_reward", record.reward ? json(*record.reward) : json()}}},
      {"error_message", nullable(record.error_message)},
      {"error_code", nullable(record.error_code)},
      {"submitted_at", record.submitted_at},
      {"completed_at", nullable(record.completed_at)},
      {"processing_time", judged.times.queue_ms / 1000 + judged.times.compile_ms / 1000 +
                              judged.times.record_ms / 1000 + judged.times.correctness_ms / 1000 +
                              judged.times.timing_ms / 1000}};
}

void fail(const std::shared_ptr<Exchange>& exchange, int status, const char* code,
          const std::string& message, const std::string& task_id,
          std::vector<std::pair<std::string, std::string>> headers = {}) {
  headers.emplace_back("X-Error-Code", code);
  reply_json(exchange, status,
             {{"error", code},
              {"message", message},
              {"error_code", code},
              {"task_id", nullable(task_id)},
              {"timestamp", utc_now()}},
             std::move(headers));
}

/// "vector-add" of a line that holds "assay: task=vector-add".
std::string task_in_comment(const std::string& code) {
  constexpr std::string_view kMark = "assay: task=";
  const size_t at = code.find(kMark);
  if (at == std::string::npos) return "";
  const size_t begin = at + kMark.size();
  return code.substr(begin, code.find_first_of(" \t\r\n\"'", begin) - begin);
}

class KernelGym : public std::enable_shared_from_this<KernelGym> {
 public:
  explicit KernelGym(Service& service) : service_(service) {}

  /// Takes a request's body. An Error is the client's; a refusal was remembered under the id.
  struct Taken {
    std::string task_id;
    std::optional<Refusal> refusal;
  };
  Result<Taken> take(const json& body, const ServerRequest& request) {
    JsonFields fields(body);
    const std::string id = fields.text("task_id");
    const std::string code = fields.text("kernel_code");
    const std::string reference = fields.text("reference_code");
    const std::string uuid = fields.text("uuid");
    const double timeout = fields.number("timeout").value_or(300);
    const std::string priority = fields.text("priority", "normal");
    if (id.empty() || id.size() > 100) fields.complain("task_id", "must have 1 to 100 characters");
    if (code.size() < 10 || code.size() > 100'000)
      fields.complain("kernel_code", "must have 10 to 100000 characters");
    if (timeout < 10 || timeout > 3600) fields.complain("timeout", "must be 10 to 3600");
    if (!fields.complaint().empty()) return Error{ErrorKind::invalid, fields.complaint()};
    std::string task = task_in_comment(reference);
    if (task.empty()) task = service_.task(uuid) ? uuid : request.parameter("task");
    if (task.empty())
      return Error{ErrorKind::invalid,
                   "which task is this? Put a line '# assay: task=ID' into reference_code, the id "
                   "into uuid, or ?task=ID into the URL"};
    const bool fenced = code.find("```") != std::string::npos;
    const std::string reward = request.parameter("reward");
    ASSIGN_OR_RETURN(Wanted wanted, fenced ? service_.want_completion(task, reward, code)
                                           : service_.want_code(task, reward, code));
    wanted.order.client = request.client;
    wanted.order.priority = priority_from_name(priority).value_or(Priority::normal);
    const std::string name = request.client + "\n" + id;
    if (under_way_or_done(name, wanted.order.key)) return Taken{id, {}};
    const auto entry = std::make_shared<Entry>();
    Record& record = entry->record;
    record.task_id = id;
    record.key = wanted.order.key;
    record.backend = fields.text("backend", "cuda");
    auto refusal = service_.desk().would_refuse(request.client);
    if (refusal) {
      record.status = "failed";
      record.error_code = "RESOURCE_ERROR";
      record.error_message = refusal->message;
    } else {
      RETURN_IF_ERROR(
          service_.journal().add_submission({request.client, id, json_text(body), task, reward}));
    }
    keep(name, entry);
    if (refusal) return Taken{id, std::move(refusal)};
    judge_parked(service_, wanted, timeout,
                 [self = shared_from_this(), entry, formula = wanted.reward](
                     const JudgedPointer& judged) { self->finish(*entry, judged, *formula); });
    return Taken{id, {}};
  }

  /// Calls `then` with the record when it is finished, maybe at once.
  void when_finished(const std::string& client, const std::string& id,
                     std::function<void(const Record&)> then) {
    const std::shared_ptr<Entry> entry = entry_of(client, id);
    if (!entry) return;
    {
      const std::lock_guard lock(mutex_);
      if (!entry->record.finished()) {
        entry->waiting.push_back(std::move(then));
        return;
      }
    }
    then(entry->record);  // a finished one does not change any more
  }

  /// As of now. Null: this client never submitted it.
  std::optional<Record> find(const std::string& client, const std::string& id) {
    std::shared_ptr<Entry> entry = entry_of(client, id);
    if (!entry && take_again(client, id)) entry = entry_of(client, id);
    if (!entry) return std::nullopt;
    const std::lock_guard lock(mutex_);
    return entry->record;
  }

  json status_body(const Record& record) {
    const auto standing = service_.desk().standing(record.key);
    const bool waits = standing && standing->phase == Phase::queued;
    const std::string status = record.finished() ? record.status : waits ? "pending" : "processing";
    return {{"task_id", record.task_id},
            {"status", status},
            {"progress", record.finished() ? 100.0
                         : waits           ? 0.0
                                           : 50.0},
            {"estimated_completion", nullptr},
            {"queue_position", waits ? json(standing->position) : json()},
            {"assigned_device", record.judged ? json(record.judged->worker) : json()},
            {"error_message", nullable(record.error_message)}};
  }

  Service& service() const { return service_; }

 private:
  struct Entry {
    Record record;
    std::vector<std::function<void(const Record&)>> waiting;
  };

  std::shared_ptr<Entry> entry_of(const std::string& client, const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(client + "\n" + id);
    return found == entries_.end() ? nullptr : found->second;
  }
  /// Whether a submission with this key is a retry of one that has, or will have, a verdict.
  bool under_way_or_done(const std::string& name, const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return false;
    const Record& record = found->second->record;
    return record.key == key && record.error_code != "RESOURCE_ERROR" &&
           record.error_code != "SYSTEM_ERROR";
  }
  /// A submission that an earlier process took.
  bool take_again(const std::string& client, const std::string& id) {
    const auto submission = service_.journal().find_submission(client, id);
    if (!submission.ok() || !*submission) return false;
    const Result<json> body = json_body((*submission)->body);
    ServerRequest request;
    request.client = client;
    request.query = {{"task", (*submission)->task_id}, {"reward", (*submission)->reward}};
    return body.ok() && take(*body, request).ok();
  }
  void finish(Entry& entry, const JudgedPointer& judged, const RewardFormula& formula) {
    std::vector<std::function<void(const Record&)>> waiting;
    {
      const std::lock_guard lock(mutex_);
      Record& record = entry.record;
      record.completed_at = utc_now();
      record.judged = judged;
      if (!judged) {
        record.status = "failed";
        record.error_code = "SYSTEM_ERROR";
        record.error_message = "no verdict in the task's time; this is not the kernel's fault";
      } else {
        const auto reward = reward_of(*judged, formula);
        if (reward) record.reward = reward->total();
        record.error_code = error_code_of(*judged);
        record.error_message = judged->explanation;
        const bool no_build =
            judged->verdict == Verdict::compile_error || judged->verdict == Verdict::format;
        record.status = judged->verdict == Verdict::timeout_candidate ? "timeout"
                        : no_build && !service_.options().kernelgym_compile_error_completes
                            ? "failed"
                            : "completed";
      }
      waiting.swap(entry.waiting);
    }
    for (const auto& then : waiting) then(entry.record);
  }
  void keep(const std::string& name, std::shared_ptr<Entry> entry) {
    const std::lock_guard lock(mutex_);
    if (!entries_.contains(name)) order_.push_back(name);
    entries_[name] = std::move(entry);
    if (order_.size() <= kMostRecords) return;
    entries_.erase(order_.front());
    order_.pop_front();
  }

  Service& service_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;  // by client and task_id
  std::deque<std::string> order_;
};

using Gym = std::shared_ptr<KernelGym>;

bool refused(const Call& call, const Result<KernelGym::Taken>& taken, const std::string& id) {
  if (!taken.ok()) {
    const bool ours = http_status(taken.error()) >= 500;
    fail(call.exchange, ours ? 500 : 400, ours ? "SYSTEM_ERROR" : "VALIDATION_ERROR",
         taken.error().message, id);
    return true;
  }
  if (!taken->refusal) return false;
  fail(call.exchange, taken->refusal->status, "RESOURCE_ERROR", taken->refusal->message, id,
       {{"Retry-After", "2"}});
  return true;
}

void evaluate(const Gym& gym, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return fail(call.exchange, 400, "VALIDATION_ERROR", body.error().message, "");
  const Result<KernelGym::Taken> taken = gym->take(*body, call.request);
  if (refused(call, taken, string_at(*body, {"task_id"}))) return;
  // At once: the client polls. Whoever wants the result in the answer says ?wait=true.
  const auto answer = [exchange = call.exchange, gym](const Record& record) {
    reply_json(exchange, 200, result_body(record, gym->service().bench()));
  };
  if (call.request.parameter("wait") == "true")
    gym->when_finished(call.request.client, taken->task_id, answer);
  else
    answer(*gym->find(call.request.client, taken->task_id));
}

void evaluate_batch(const Gym& gym, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return fail(call.exchange, 400, "VALIDATION_ERROR", body.error().message, "");
  const json& tasks = array_at(*body, {"tasks"});
  if (tasks.empty() || tasks.size() > kMostBatch)
    return fail(call.exchange, 400, "VALIDATION_ERROR", "tasks must hold 1 to 100 tasks", "");
  struct Gathered {
    std::mutex mutex;
    std::vector<json> results;
    size_t left = 0, failed = 0;
  };
  std::vector<std::string> ids;
  for (const json& task : tasks) {
    const Result<KernelGym::Taken> taken = gym->take(task, call.request);
    if (refused(call, taken, string_at(task, {"task_id"}))) return;
    ids.push_back(taken->task_id);
  }
  const auto gathered = std::make_shared<Gathered>();
  gathered->results.resize(ids.size());
  gathered->left = ids.size();
  for (size_t i = 0; i < ids.size(); ++i)
    gym->when_finished(call.request.client, ids[i],
                       [gym, gathered, i, exchange = call.exchange,
                        batch = string_at(*body, {"batch_id"})](const Record& record) {
                         const std::lock_guard lock(gathered->mutex);
                         gathered->results[i] = result_body(record, gym->service().bench());
                         if (record.status != "completed") ++gathered->failed;
                         if (--gathered->left > 0) return;
                         const size_t total = gathered->results.size();
                         reply_json(exchange, 200,
                                    {{"batch_id", batch},
                                     {"total_tasks", total},
                                     {"completed_tasks", total - gathered->failed},
                                     {"failed_tasks", gathered->failed},
                                     {"results", gathered->results},
                                     {"batch_status", "completed"},
                                     {"submitted_at", nullptr},
                                     {"completed_at", utc_now()}});
                       });
}

json workflow_body(const Record& record, const Bench& bench) {
  return {{"task_id", record.task_id},
          {"status", record.status},
          {"result", result_body(record, bench)},
          {"error_message", nullable(record.error_message)},
          {"error_code", nullable(record.error_code)},
          {"submitted_at", record.submitted_at},
          {"completed_at", nullable(record.completed_at)}};
}

void workflow_submit(const Gym& gym, const Call& call) {
  const Result<json> body = json_body(call.request.body);
  const json* payload = body.ok() ? json_at(*body, {"payload"}) : nullptr;
  if (!payload || !payload->is_object())
    return fail(call.exchange, 400, "VALIDATION_ERROR",
                body.ok() ? "payload must be an object" : body.error().message, "");
  json task = *payload;
  if (const std::string id = string_at(*body, {"task_id"}); !id.empty()) task["task_id"] = id;
  const Result<KernelGym::Taken> taken = gym->take(task, call.request);
  if (refused(call, taken, string_at(task, {"task_id"}))) return;
  gym->when_finished(call.request.client, taken->task_id,
                     [gym, exchange = call.exchange](const Record& record) {
                       reply_json(exchange, 200, workflow_body(record, gym->service().bench()));
                     });
}

void with_record(const Gym& gym, const Call& call, json (*body)(const Gym&, const Record&)) {
  const auto record = gym->find(call.request.client, call.parts[0]);
  if (!record)
    return fail(call.exchange, 404, "VALIDATION_ERROR", "there is no task " + call.parts[0],
                call.parts[0]);
  reply_json(call.exchange, 200, body(gym, *record));
}

void cancel(const Gym& gym, const Call& call) {
  const auto record = gym->find(call.request.client, call.parts[0]);
  if (!record)
    return fail(call.exchange, 404, "VALIDATION_ERROR", "there is no task " + call.parts[0],
                call.parts[0]);
  // Its work may be somebody else's too; it is finished and kept.
  reply_json(call.exchange, 200, {{"task_id", record->task_id}, {"status", record->status}});
}

void health(const Gym& gym, const Call& call) {
  const DeskStatus status = gym->service().desk().status();
  bool healthy = false;
  for (const auto& lane : status.lanes) healthy = healthy || lane.healthy;
  reply_json(call.exchange, 200,
             {{"status", healthy ? "healthy" : "unhealthy"}, {"workers", status.lanes.size()}});
}

void capacity(const Gym& gym, const Call& call) {
  reply_json(call.exchange, 200,
             capacity_json(gym->service().desk().status(), gym->service().bench(), 0));
}

}  // namespace

void add_kernelgym(Router& router, Service& service) {
  const auto gym = std::make_shared<KernelGym>(service);
  const auto add = [&](const char* method, const char* path, auto answer) {
    router.add({method, path, [gym, answer](const Call& call) { answer(gym, call); }, false, true});
  };
  add("POST", "/kernelgym/evaluate", evaluate);
  add("POST", "/kernelgym/evaluate/batch", evaluate_batch);
  add("POST", "/kernelgym/workflow/submit", workflow_submit);
  add("GET", "/kernelgym/status/{task_id}", [](const Gym& all, const Call& call) {
    with_record(all, call,
                [](const Gym& g, const Record& record) { return g->status_body(record); });
  });
  add("GET", "/kernelgym/results/{task_id}", [](const Gym& all, const Call& call) {
    with_record(all, call, [](const Gym& g, const Record& record) {
      return result_body(record, g->service().bench());
    });
  });
  add("GET", "/kernelgym/workflow/results/{task_id}", [](const Gym& all, const Call& call) {
    with_record(all, call, [](const Gym& g, const Record& record) {
      return workflow_body(record, g->service().bench());
    });
  });
  add("DELETE", "/kernelgym/tasks/{task_id}", cancel);
  add("GET", "/kernelgym/health", health);
  add("GET", "/kernelgym/metrics", capacity);
  add("GET", "/kernelgym/queue/status", capacity);
  add("GET", "/kernelgym/workers/status", capacity);
  add("GET", "/kernelgym", health);
}

}  // namespace assay
