// Theory of operation
//
// Everything below `State` happens on the HTTP loop's thread, so it needs no locks but for the
// status that others read. A call becomes a Pending in the queue. pump() starts pendings while the
// adaptive limit has room and no rate limit's cooldown asks for patience; a pending is first looked
// up in the cache. With an API that has `n`, queued calls with equal bodies share one request; the
// choices are dealt out in order, and calls that got none go back to the queue on their own, since
// servers may ignore `n`.
//
// A request ends as an answer or as a failure. Failures are classified (failure.h) and either wait
// in a timer for the next attempt or end the call. A fatal failure (no key, no money, no such
// model) ends every other call of this client too, so that a run stops at the first such answer
// instead of repeating it a thousand times.
//
// Time spent in a retry's wait is told apart from the time of the attempts, so that budgets need
// not charge it.
#include "agents/model/client.h"

#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <random>

#include "agents/http/json.h"
#include "agents/model/capabilities.h"
#include "agents/model/concurrency.h"
#include "agents/model/key.h"

namespace assay {

namespace {

using Clock = HttpLoop::Clock;

double now_seconds() {
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// One call that has no answer yet.
struct Pending {
  GenerationRequest request;
  std::function<void(Generation)> done;
  Generation generation;  // attempts so far
  std::string body;       // with samples = 1
  std::string cache_key;
  bool alone = false;  // an earlier shared request had no choice left for it
  double asked_at = now_seconds();
  double waited_seconds = 0;  // for retries, all of them
  double last_wait_seconds = 0;
};
using PendingPointer = std::shared_ptr<Pending>;

/// Servers may repeat the key in what they say about it.
void hide(std::string& text, const std::string& key) {
  if (key.empty()) return;
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "[key]");
}

std::string request_id(const HttpResponse& response) {
  for (const char* name : {"x-request-id", "request-id"})
    if (const auto found = response.headers.find(name); found != response.headers.end())
      return found->second.substr(0, 200);
  return {};
}

}  // namespace

struct ModelClient::State : std::enable_shared_from_this<State> {
  HttpLoop* loop = nullptr;  // owned by the ModelClients: never released on its own thread
  const Protocol* protocol = nullptr;
  ModelConfig config;
  ClientOptions options;
  std::string name;
  std::string url;
  std::vector<std::string> headers;
  std::string key;  // in memory only, to keep it out of messages

  // The loop's thread only.
  AdaptiveLimit limit;
  std::deque<PendingPointer> queue;
  int in_flight = 0;
  std::map<uint64_t, std::vector<PendingPointer>> waiters;  // for a retry, by a running number
  uint64_t waits = 0;
  std::optional<ApiFailure> fatal;
  std::mt19937_64 random{std::random_device{}()};

  std::atomic<bool> cancelled = false;
  mutable std::mutex status_mutex;
  AgentStatus status;
  double next_try_at = 0;

  void ask(PendingPointer pending);
  void pump();
  void start(std::vector<PendingPointer> group);
  void on_done(const std::vector<PendingPointer>& group, const HttpResponse& response,
               Decoding decoding);
  void on_answer(const std::vector<PendingPointer>& group, Decoding decoding);
  void on_failure(const std::vector<PendingPointer>& group, const ApiFailure& failure);
  void deliver(const PendingPointer& pending, Reply& reply, size_t choice);
  void give_up(const PendingPointer& pending, const ApiFailure& failure);
  std::vector<PendingPointer> take_group();
  nlohmann::json body(const GenerationRequest& request, int samples) const;
  void end_wait(uint64_t id);
  void end_all_waits();
  void update_status();
};

nlohmann::json ModelClient::State::body(const GenerationRequest& request, int samples) const {
  return protocol->body(config, {request.system, request.messages, samples, request.sample});
}

void ModelClient::State::ask(PendingPointer pending) {
  pending->body = json_text(body(pending->request, 1));
  pending->generation.request_body = pending->body;
  if (options.cache) {
    const GenerationRequest& request = pending->request;
    pending->cache_key =
        ResponseCache::key(std::string(protocol->name()), url, pending->body,
                           fmt::format("{}/{}/{}", request.task ? request.task->id : "",
                                       request.sample, request.turn));
    if (auto cached = options.cache->find(pending->cache_key)) {
      Generation& generation = pending->generation;
      generation.answer = std::move(cached->answer);
      generation.usage = std::move(cached->usage);
      generation.served_model = cached->served_model;
      generation.fingerprint = cached->fingerprint;
      generation.response_id = cached->response_id;
      generation.cached = true;
      generation.cost_dollars = 0;
      pending->done(std::move(generation));
      return;
    }
  }
  queue.push_back(std::move(pending));
  pump();
}

void ModelClient::State::pump() {
  while (!queue.empty()) {
    if (cancelled || fatal) {
      ApiFailure failure;
      failure.failure = FailureClass::cancelled;
      const PendingPointer pending = queue.front();
      queue.pop_front();
      give_up(pending, fatal ? *fatal : failure);
      continue;
    }
    if (in_flight >= limit.limit()) break;
    start(take_group());
  }
  update_status();
}

/// The first of the queue, with the equal ones behind it where the API can answer them at once.
std::vector<PendingPointer> ModelClient::State::take_group() {
  std::vector<PendingPointer> group = {queue.front()};
  queue.pop_front();
  const auto most = static_cast<size_t>(config.samples_per_request);
  if (!protocol->has_samples() || most < 2 || group[0]->alone || config.sampling.seed) return group;
  for (auto other = queue.begin(); other != queue.end() && group.size() < most;) {
    if (!(*other)->alone && (*other)->body == group[0]->body) {
      group.push_back(*other);
      other = queue.erase(other);
    } else {
      ++other;
    }
  }
  return group;
}

void ModelClient::State::start(std::vector<PendingPointer> group) {
  HttpRequest request;
  request.url = url;
  request.headers = headers;
  request.limits = options.limits;
  request.body = group.size() == 1
                     ? group[0]->body
                     : json_text(body(group[0]->request, static_cast<int>(group.size())));
  for (const PendingPointer& pending : group) pending->generation.request_body = request.body;
  limit.on_start(++in_flight);
  const auto self = shared_from_this();
  const auto reader =
      config.stream ? std::make_shared<StreamReader>(*protocol) : std::shared_ptr<StreamReader>();
  std::function<bool(std::string_view)> on_data;
  // A stream that goes on after the answer's end is ended by us: `cancelled` below.
  if (reader) on_data = [reader](std::string_view bytes) { return reader->feed(bytes); };
  loop->start(std::move(request), std::move(on_data),
              [self, reader, group = std::move(group)](HttpResponse response) {
                Decoding decoding;
                if (response.status == 200 && reader)
                  decoding = reader->finish();
                else if (response.status == 200 && response.fault == TransportFault::none)
                  decoding = read_body(*self->protocol, response.body);
                self->on_done(group, response, std::move(decoding));
              });
}

void ModelClient::State::on_done(const std::vector<PendingPointer>& group,
                                 const HttpResponse& response, Decoding decoding) {
  --in_flight;
  // An answer whose end was seen is whole, whatever the connection did afterwards; so is an error
  // inside the stream.
  const bool told_error = decoding.failure && decoding.failure->code != "truncated";
  std::optional<ApiFailure> failure;
  if (!decoding.complete || decoding.failure) {
    const bool ended_by_reader =
        response.status == 200 && response.fault == TransportFault::cancelled && !cancelled;
    const bool transport =
        !ended_by_reader && (response.status != 200 || response.fault != TransportFault::none);
    failure =
        transport && !told_error ? classify_response(response, unix_seconds()) : decoding.failure;
    if (failure) {
      failure->status = response.status;
      hide(failure->message, key);
    }
  }
  Attempt attempt;
  attempt.status = response.status;
  attempt.request_id = request_id(response);
  attempt.failure = failure;
  attempt.seconds = response.seconds;
  attempt.waited_seconds = group[0]->last_wait_seconds;
  attempt.usage = decoding.reply.usage;
  attempt.cost_dollars = cost_of(attempt.usage, options.price);
  group[0]->generation.attempts.push_back(attempt);
  if (failure)
    on_failure(group, *failure);
  else
    on_answer(group, std::move(decoding));
  pump();
}

void ModelClient::State::on_answer(const std::vector<PendingPointer>& group, Decoding decoding) {
  limit.on_success(now_seconds(), group[0]->generation.attempts.size() == 1);
  for (size_t i = 0; i < group.size(); ++i) {
    if (i < decoding.reply.answers.size()) {
      deliver(group[i], decoding.reply, i);
    } else {
      group[i]->alone = true;
      queue.push_front(group[i]);
    }
  }
}

void ModelClient::State::deliver(const PendingPointer& pending, Reply& reply, size_t choice) {
  Generation& generation = pending->generation;
  generation.answer = std::move(reply.answers[choice]);
  // The request's counters belong to its first choice; the others cost nothing more.
  if (choice == 0) {
    generation.usage = reply.usage;
    generation.cost_dollars = 0;
    for (const Attempt& attempt : generation.attempts) {
      if (attempt.cost_dollars)
        generation.cost_dollars = generation.cost_dollars.value_or(0) + *attempt.cost_dollars;
      else if (!attempt.failure)
        generation.cost_dollars.reset();
    }
  } else {
    generation.cost_dollars = 0;
  }
  generation.served_model = reply.served_model;
  generation.fingerprint = reply.fingerprint;
  generation.response_id = reply.response_id;
  generation.seconds = now_seconds() - pending->asked_at;
  generation.waiting_seconds = pending->waited_seconds;
  if (options.cache)
    options.cache->put(pending->cache_key,
                       {generation.answer, generation.usage, generation.served_model,
                        generation.fingerprint, generation.response_id});
  pending->done(std::move(generation));
}

void ModelClient::State::on_failure(const std::vector<PendingPointer>& group,
                                    const ApiFailure& failure) {
  const double now = now_seconds();
  if (failure.failure == FailureClass::rate_limit) {
    limit.on_rate_limit(
        now, std::max(failure.cooldown_seconds.value_or(0), failure.wait_seconds.value_or(0)));
    const std::lock_guard lock(status_mutex);
    ++status.rate_limits;
  }
  if (failure.failure == FailureClass::fatal_run) {
    fatal = failure;
    end_all_waits();
  }
  const PendingPointer& first = group[0];
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random);
  const std::optional<double> wait = options.retry.wait(
      failure, static_cast<int>(first->generation.attempts.size()), first->waited_seconds, jitter);
  if (!wait || cancelled) {
    for (const PendingPointer& pending : group) give_up(pending, failure);
    return;
  }
  for (const PendingPointer& pending : group) {
    pending->waited_seconds += *wait;
    pending->last_wait_seconds = *wait;
  }
  const uint64_t id = waits++;
  waiters[id] = group;
  {
    const std::lock_guard lock(status_mutex);
    next_try_at = now + *wait;
    status.trouble = failure.status >= 300 ? std::to_string(failure.status)
                                           : (failure.code.empty() ? "error" : failure.code);
  }
  loop->after(*wait, [self = shared_from_this(), id] {
    self->end_wait(id);
    self->pump();
  });
}

void ModelClient::State::end_wait(uint64_t id) {
  const auto found = waiters.find(id);
  if (found == waiters.end()) return;
  for (auto pending = found->second.rbegin(); pending != found->second.rend(); ++pending)
    queue.push_front(*pending);
  waiters.erase(found);
}

void ModelClient::State::end_all_waits() {
  while (!waiters.empty()) end_wait(waiters.begin()->first);
}

void ModelClient::State::give_up(const PendingPointer& pending, const ApiFailure& failure) {
  pending->generation.failure = failure;
  if (cancelled) pending->generation.failure->failure = FailureClass::cancelled;
  pending->generation.seconds = now_seconds() - pending->asked_at;
  pending->generation.waiting_seconds = pending->waited_seconds;
  pending->done(std::move(pending->generation));
}

void ModelClient::State::update_status() {
  const int limit_before = status.limit;  // written on this thread only
  {
    const std::lock_guard lock(status_mutex);
    status.in_flight = in_flight;
    status.waiting = static_cast<int>(waiters.size());
    status.limit = limit.limit();
  }
  if (options.log && limit_before > 0 && limit_before != limit.limit())
    options.log(fmt::format("{}: {} requests at once instead of {} ({})", name, limit.limit(),
                            limit_before, limit.last_change()));
}

Result<std::unique_ptr<ModelClient>> ModelClient::create(std::shared_ptr<HttpLoop> loop,
                                                         ModelConfig config,
                                                         ClientOptions options) {
  ASSIGN_OR_RETURN(const Protocol* protocol, find_protocol(config.protocol));
  if (config.model.empty())
    return Error{ErrorKind::usage, fmt::format("the agent '{}' names no model; write {}:MODEL",
                                               config.protocol, config.protocol)};
  if (const std::string problem = protocol->unsupported(config); !problem.empty())
    return Error{ErrorKind::usage, problem};
  if (const std::string problem = refused_by_model(config); !problem.empty())
    return Error{ErrorKind::usage, problem};
  if (!config.extra_body_json.empty()) {
    const auto extra = parse_json(config.extra_body_json);
    if (!extra.ok() || !extra->is_object())
      return Error{ErrorKind::usage, "extra_body must be a JSON object"};
  }
  ASSIGN_OR_RETURN(const std::string key, find_key(*protocol, config));
  auto state = std::make_shared<State>();
  state->loop = loop.get();
  state->protocol = protocol;
  state->url = protocol->url(config);
  state->headers = protocol->authorization(key);
  state->key = key;
  state->headers.emplace_back("Content-Type: application/json");
  state->headers.emplace_back(config.stream ? "Accept: text/event-stream"
                                            : "Accept: application/json");
  state->headers.emplace_back("User-Agent: assay");
  state->name = config.protocol + ":" + config.model;
  state->limit = AdaptiveLimit(std::min(options.start_connections, options.most_connections), 4,
                               options.most_connections);
  state->config = std::move(config);
  state->options = std::move(options);
  state->update_status();
  return std::unique_ptr<ModelClient>(new ModelClient(std::move(loop), std::move(state)));
}

ModelClient::~ModelClient() { cancel(); }

const std::string& ModelClient::name() const { return state_->name; }

std::string ModelClient::settings_json() const {
  const ModelConfig& config = state_->config;
  // The body of an empty request holds the model and every sampling parameter.
  return json_text({{"url", state_->url}, {"body", state_->protocol->body(config, {})}});
}

void ModelClient::generate(GenerationRequest request, std::function<void(Generation)> done) {
  auto pending = std::make_shared<Pending>();
  pending->request = std::move(request);
  pending->done = std::move(done);
  state_->loop->post([state = state_, pending] { state->ask(pending); });
}

AgentStatus ModelClient::status() const {
  const std::lock_guard lock(state_->status_mutex);
  AgentStatus status = state_->status;
  status.next_try_seconds = std::max(0.0, state_->next_try_at - now_seconds());
  if (status.waiting > 0)
    status.trouble += fmt::format(", next try in {:.0f} s", status.next_try_seconds);
  else
    status.trouble.clear();
  return status;
}

void ModelClient::cancel() {
  if (state_->cancelled.exchange(true)) return;
  state_->loop->post([state = state_] {
    state->end_all_waits();
    state->pump();
  });
  state_->loop->cancel_all();
}

}  // namespace assay
