// OpenEnv over HTTP and WebSocket, with the field names of its kernrl environment.
//
// Traps: the Python client uses the WebSocket only, one session a socket, one reply a message, in
// order. It waits 60 seconds and would then take a late reply for that to its next message: after
// 55 seconds an error frame answers instead, and the result, when it comes, is dropped (asking
// again finds it). The client forbids fields that it does not know and drops metadata; null rewards
// become 0 in some of its users, so no evidence is an error frame, never an observation.
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "evaluator/signature.h"
#include "server/json_fields.h"
#include "server/protocols/parked.h"
#include "server/protocols/protocols.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr double kLimitSeconds = 55;
constexpr int kMostTurns = 8;
constexpr size_t kMostSessions = 10'000;
constexpr size_t kMostWaiting = 64;  // messages of one socket

/// One episode.
struct Episode {
  const Task* task = nullptr;
  Language language = Language::cuda;  // of what the agent is shown
  std::string id;
  int turn = 0;
  double best_speedup = 0;
  bool solved = false;
};

json observation(const Service& service, const Episode& episode, const Judged* judged) {
  const bool speed = judged && judged->facts.timed && judged->facts.correct();
  return {
      {"problem_id", episode.task->id},
      {"problem_description", statement(*episode.task, episode.language)},
      {"reference_code", signature(*episode.task, episode.language)},
      {"gpu_info", service.bench().device_name()},
      {"turn", episode.turn},
      {"max_turns", kMostTurns},
      {"feedback", judged ? judged->explanation : ""},
      {"compilation_success", judged && judged->facts.compiled},
      {"compilation_error", judged && !judged->facts.compiled ? json(judged->explanation) : json()},
      {"correctness_pass", judged && judged->facts.correct()},
      {"max_diff", nullptr},
      {"speedup", speed ? json(judged->facts.speedup) : json()}};
}

json state_json(const Episode& episode) {
  return {{"episode_id", episode.id.empty() ? json() : json(episode.id)},
          {"step_count", episode.turn},
          {"problem_id", episode.task ? json(episode.task->id) : json()},
          {"turn", episode.turn},
          {"max_turns", kMostTurns},
          {"best_speedup", episode.best_speedup},
          {"solved", episode.solved}};
}

/// Starts an episode from reset's data; the first task where it names none.
Result<Episode> reset(const Service& service, const json& data) {
  JsonFields fields(data, "data.");
  std::string id = fields.text("problem_id", fields.text("task_id"));
  Episode episode;
  episode.id = fields.text("episode_id");
  const std::string language = fields.text("language");
  if (!fields.complaint().empty()) return Error{ErrorKind::invalid, fields.complaint()};
  if (id.empty() && !service.catalogue().tasks.empty()) id = service.catalogue().tasks.front().id;
  episode.task = service.task(id);
  if (!episode.task) return Error{ErrorKind::not_found, service.unknown_task(id)};
  ASSIGN_OR_RETURN(episode.language, requested_language(language));
  return episode;
}

/// The candidate of a step: code as it is, or in a fence.
Result<Wanted> wanted_of(const Service& service, const Episode& episode, const json& action,
                         const std::string& reward) {
  JsonFields fields(action, "");
  const std::string code = fields.text("code");
  if (!action.is_object() || !action.contains("code")) fields.complain("code", "is missing");
  if (!fields.complaint().empty()) return Error{ErrorKind::invalid, fields.complaint()};
  if (code.find("```") != std::string::npos)
    return service.want_completion(episode.task->id, reward, code);
  return service.want_code(episode.task->id, reward, code);
}

/// After a verdict: the episode goes on until it is solved or its turns are over.
json step_json(const Service& service, Episode& episode, const Judged& judged, double reward) {
  ++episode.turn;
  episode.solved = episode.solved || judged.verdict == Verdict::correct;
  if (judged.facts.correct() && judged.facts.timed)
    episode.best_speedup = std::max(episode.best_speedup, judged.facts.speedup);
  return {{"observation", observation(service, episode, &judged)},
          {"reward", reward},
          {"done", episode.turn >= kMostTurns || episode.solved}};
}

class Session : public WebSocketHandler, public std::enable_shared_from_this<Session> {
 public:
  Session(Service& service, std::string client, std::string reward,
          std::shared_ptr<WebSocket> socket, std::shared_ptr<std::atomic<size_t>> sessions)
      : service_(service),
        client_(std::move(client)),
        reward_(std::move(reward)),
        socket_(std::move(socket)),
        sessions_(std::move(sessions)) {
    full_ = ++*sessions_ > kMostSessions;
  }
  ~Session() override { --*sessions_; }

  void on_message(std::string text) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(text));
      if (waiting_.size() > kMostWaiting) return socket_->close();
      if (busy_) return;
      busy_ = true;
    }
    next();
  }
  void on_closed() override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    waiting_.clear();
  }

 private:
  /// Handles messages, one after the other, until one has to wait or none is left.
  void next() {
    for (;;) {
      std::string text;
      {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty() || closed_) {
          busy_ = false;
          return;
        }
        text = std::move(waiting_.front());
        waiting_.pop_front();
      }
      if (!handle(text)) return;
    }
  }

  void send(const char* type, const json& data) {
    socket_->send(json_text({{"type", type}, {"data", data}}));
  }
  bool error(const char* code, const std::string& message) {
    send("error", {{"message", message}, {"code", code}});
    return true;
  }

  /// True: answered. False: the answer comes later and goes on with next().
  bool handle(const std::string& text) {
    if (full_) {
      send("error", {{"message", "all sessions are in use"},
                     {"code", "CAPACITY_REACHED"},
                     {"active_sessions", sessions_->load()},
                     {"max_sessions", kMostSessions}});
      socket_->close();
      return true;
    }
    const Result<json> message = parse_json(text);
    if (!message.ok() || !message->is_object())
      return error("INVALID_JSON", "a message must be a JSON object");
    const std::string type = string_at(*message, {"type"});
    const json data = message->contains("data") && (*message)["data"].is_object()
                          ? (*message)["data"]
                          : json::object();
    if (type == "reset") return start(data);
    if (type == "step") return step(data);
    if (type == "state") return send("state", state_json(episode_)), true;
    if (type == "close") return socket_->close(), true;
    return error("UNKNOWN_TYPE", "messages are reset, step, state and close");
  }

  bool start(const json& data) {
    Result<Episode> episode = reset(service_, data);
    if (!episode.ok()) return error("VALIDATION_ERROR", episode.error().message);
    episode_ = *std::move(episode);
    send("observation", {{"observation", observation(service_, episode_, nullptr)},
                         {"reward", nullptr},
                         {"done", false}});
    return true;
  }

  bool step(const json& data) {
    if (!episode_.task) return error("SESSION_ERROR", "reset comes before step");
    Result<Wanted> wanted = wanted_of(service_, episode_, data, reward_);
    if (!wanted.ok()) return error("VALIDATION_ERROR", wanted.error().message);
    wanted->order.client = client_;
    judge_parked(
        service_, *wanted, kLimitSeconds,
        [self = shared_from_this(), formula = wanted->reward](const JudgedPointer& judged) {
          const auto reward = judged ? reward_of(*judged, *formula) : std::nullopt;
          if (reward)
            self->send("observation",
                       step_json(self->service_, self->episode_, *judged, reward->total()));
          else
            self->error("EXECUTION_ERROR", "no verdict yet; send the step again");
          self->next();
        });
    return false;
  }

  Service& service_;
  const std::string client_, reward_;
  const std::shared_ptr<WebSocket> socket_;
  const std::shared_ptr<std::atomic<size_t>> sessions_;
  bool full_ = false;
  Episode episode_;  // of the message in hand
  std::mutex mutex_;
  std::deque<std::string> waiting_;
  bool busy_ = false, closed_ = false;
};

/// HTTP's step has no session: the task is the action's problem_id, or the URL's.
void http_step(Service& service, const Call& call) {
  const auto refuse = [&](int status, const std::string& message) {
    call.exchange->reply(error_reply(status, message));
  };
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return refuse(400, body.error().message);
  const json* action = json_at(*body, {"action"});
  if (!action || !action->is_object()) return refuse(422, "action must be an object with code");
  std::string id = string_at(*action, {"problem_id"});
  if (id.empty()) id = call.request.parameter("task");
  Result<Episode> episode = reset(service, {{"problem_id", id}});
  if (!episode.ok()) return refuse(422, episode.error().message);
  Result<Wanted> wanted = wanted_of(service, *episode, *action, call.request.parameter("reward"));
  if (!wanted.ok()) return refuse(422, wanted.error().message);
  wanted->order.client = call.request.client;
  judge_parked(service, *wanted, kLimitSeconds,
               [&service, exchange = call.exchange, one = *episode,
                formula = wanted->reward](const JudgedPointer& judged) mutable {
                 const auto reward = judged ? reward_of(*judged, *formula) : std::nullopt;
                 if (!reward) return exchange->reply(error_reply(503, "no verdict yet; try again"));
                 reply_json(exchange, 200, step_json(service, one, *judged, reward->total()));
               });
}

void http_reset(Service& service, const Call& call) {
  const Result<json> body =
      call.request.body.empty() ? Result<json>(json::object()) : json_body(call.request.body);
  if (!body.ok()) return call.exchange->reply(error_reply(400, body.error().message));
  const Result<Episode> episode = reset(service, *body);
  if (!episode.ok()) return call.exchange->reply(error_reply(422, episode.error().message));
  reply_json(call.exchange, 200,
             {{"observation", observation(service, *episode, nullptr)},
              {"reward", nullptr},
              {"done", false}});
}

void schema(Service&, const Call& call) {
  const json text = {{"type", "string"}}, number = {{"type", "number"}};
  reply_json(
      call.exchange, 200,
      {{"action", {{"type", "object"}, {"required", {"code"}}, {"properties", {{"code", text}}}}},
       {"observation",
        {{"type", "object"},
         {"properties", {{"problem_id", text}, {"feedback", text}, {"speedup", number}}}}},
       {"state",
        {{"type", "object"}, {"properties", {{"episode_id", text}, {"step_count", number}}}}}});
}

}  // namespace

void add_openenv(Router& router, Service& service) {
  const auto add = [&](const char* method, const char* path,
                       void (*answer)(Service&, const Call&)) {
    router.add({method, path, [&service, answer](const Call& call) { answer(service, call); }});
  };
  add("POST", "/openenv/reset", http_reset);
  add("POST", "/openenv/step", http_step);
  add("GET", "/openenv/schema", schema);
  add("GET", "/openenv/state",
      [](Service&, const Call& call) { reply_json(call.exchange, 200, state_json(Episode{})); });
  add("GET", "/openenv/health", [](Service& all, const Call& call) {
    bool healthy = false;
    for (const auto& lane : all.desk().status().lanes) healthy = healthy || lane.healthy;
    reply_json(call.exchange, 200, {{"status", healthy ? "healthy" : "degraded"}});
  });
  add("GET", "/openenv/metadata", [](Service&, const Call& call) {
    reply_json(call.exchange, 200,
               {{"name", "assay"},
                {"description", "GPU kernels, evaluated"},
                {"readme_content", nullptr},
                {"version", "1"},
                {"author", nullptr},
                {"documentation_url", nullptr}});
  });
  const auto sessions = std::make_shared<std::atomic<size_t>>(0);
  router.add_web_socket("/openenv/ws", [&service, sessions](const ServerRequest& request,
                                                            std::shared_ptr<WebSocket> socket) {
    return std::make_shared<Session>(service, request.client, request.parameter("reward"),
                                     std::move(socket), sessions);
  });
}

}  // namespace assay
