// Theory of operation
//
// An evaluation's id is made of what it is: the order's key (task, code, conditions), the reward,
// the client and the group. Asking for the same again gives the same id and the same answer,
// whether the first time is under way, in memory, in the store, or was cut short by a crash; that
// is what makes blind retries safe. The journal keeps, by id, what is needed to go on after a
// restart. An Idempotency-Key adds one promise: the same key with another body is refused (409).
//
// A request places an order and waits for it. When its wait is over it is told 202 and the order
// lives on; when its client hangs up before, the order is cancelled. What ended without a verdict
// (cancelled, deadline, trouble) is kept in memory by id, so that asking for the id says so instead
// of starting over; a new POST starts over.
#include "server/native_api.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "agents/http/json.h"
#include "base/digest.h"
#include "reports/reward_facts.h"
#include "server/json_fields.h"
#include "server/native_result.h"

namespace assay {

namespace {

using nlohmann::json;

constexpr double kDefaultWaitSeconds = 60;
constexpr double kLongestWaitSeconds = 3600;
constexpr size_t kMostItems = 4096;
constexpr size_t kMostEnded = 16'384;
constexpr size_t kLongestName = 200;

/// One evaluation that a request asks for.
struct Item {
  Wanted wanted;
  std::string id;
  bool was_completion = false;
};

class NativeApi : public std::enable_shared_from_this<NativeApi> {
 public:
  NativeApi(Service& service, Store& store) : service_(service), store_(store) {}

  void post(Call call);
  void post_batch(Call call);
  void get(Call call);
  void events(Call call);
  void cancel(Call call);
  void cancel_group(Call call);
  void rescore(Call call);

 private:
  Result<Item> read_item(const json& body, const ServerRequest& request, const std::string& where);
  Result<void> keep(const Item& item);
  Result<std::optional<Item>> find(const std::string& id, const std::string& client);
  /// Places an order whose end is remembered.
  Desk::Placed place(const Item& item, std::function<void(JudgedPointer)> done,
                     Desk::OnPhase on_phase = {});
  void remember_end(const std::string& id, const JudgedPointer& judged);
  JudgedPointer ended(const std::string& id);
  void reply_pending(const std::shared_ptr<Exchange>& exchange, const Item& item);
  /// Answers when there is a verdict, or after `wait` seconds with 202.
  void answer_within(const std::shared_ptr<Exchange>& exchange, Item item, double wait);

  Service& service_;
  Store& store_;
  std::mutex mutex_;
  std::map<std::string, JudgedPointer> ended_;  // without a verdict, by id
  std::deque<std::string> ended_order_;
};

std::string id_of(const Wanted& wanted) {
  return "ev_" + Digest()
                     .add(wanted.order.key)
                     .add(wanted.reward->id())
                     .add(wanted.order.client)
                     .add(wanted.order.group)
                     .hex()
                     .substr(0, 32);
}

void reply_error(const std::shared_ptr<Exchange>& exchange, const Error& error) {
  exchange->reply(error_reply(http_status(error), error.message));
}

void reply_refusal(const std::shared_ptr<Exchange>& exchange, const Refusal& refusal) {
  ServerReply reply = error_reply(refusal.status, refusal.message);
  reply.headers.emplace_back("Retry-After",
                             fmt::format("{:.0f}", std::ceil(refusal.retry_after_seconds)));
  exchange->reply(std::move(reply));
}

/// `wait` of the query in seconds; an Error where it is no number in range.
Result<double> wait_of(const ServerRequest& request, double otherwise) {
  const std::string text = request.parameter("wait");
  if (text.empty()) return otherwise;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value >= 0 && value <= kLongestWaitSeconds))
    return Error{ErrorKind::invalid, "wait must be a number of seconds, 0 to 3600"};
  return value;
}

/// The code or completion of a candidate object.
Result<Wanted> read_candidate(const Service& service, JsonFields& fields, const std::string& task,
                              const std::string& reward, bool& is_completion) {
  const json* candidate = fields.object("candidate");
  if (!fields.complaint().empty()) return Error{ErrorKind::invalid, fields.complaint()};
  if (!candidate)
    return Error{ErrorKind::invalid,
                 "candidate is missing: {\"files\": {\"kernel.cu\": \"...\"}} or "
                 "{\"completion\": \"...\"}"};
  JsonFields parts(*candidate, "candidate.");
  const std::string completion = parts.text("completion");
  is_completion = candidate->contains("completion") && !(*candidate)["completion"].is_null();
  const json* files = parts.object("files");
  const std::string language = parts.text("language");
  if (!parts.complaint().empty()) return Error{ErrorKind::invalid, parts.complaint()};
  // Which of the two it is, the text itself says.
  RETURN_IF_ERROR(requested_language(language));
  if (is_completion == (files != nullptr))
    return Error{ErrorKind::invalid, "candidate must have either files or completion"};
  if (is_completion) return service.want_completion(task, reward, completion);
  if (files->size() != 1 || !files->begin()->is_string())
    return Error{ErrorKind::invalid,
                 "candidate.files must hold one file, a .cu or .py source as text"};
  return service.want_code(task, reward, files->begin()->get<std::string>());
}

Result<Item> NativeApi::read_item(const json& body, const ServerRequest& request,
                                  const std::string& where) {
  JsonFields fields(body, where);
  const std::string task = fields.text("task_id");
  const std::string reward = fields.text("reward_spec");
  const std::string group = fields.text("group_id");
  const std::string priority = fields.text("priority", "normal");
  const std::string tier = fields.text("tier", "standard");
  const std::optional<double> deadline = fields.number("deadline_s");
  if (task.empty()) fields.complain("task_id", "is missing");
  if (group.size() > kLongestName) fields.complain("group_id", "is longer than 200 characters");
  const std::optional<Priority> rank = priority_from_name(priority);
  if (!rank) fields.complain("priority", "must be low, normal or high");
  if (tier != "standard")
    fields.complain("tier", "must be standard; the server's options decide how much is checked");
  if (deadline && !(*deadline > 0)) fields.complain("deadline_s", "is in the past; it must be > 0");
  if (!fields.complaint().empty()) return Error{ErrorKind::invalid, fields.complaint()};
  Item item;
  ASSIGN_OR_RETURN(item.wanted,
                   read_candidate(service_, fields, task, reward, item.was_completion));
  Order& order = item.wanted.order;
  order.priority = *rank;
  order.deadline = seconds_from_now(deadline.value_or(service_.options().deadline_seconds));
  order.group = group;
  order.client = request.client;
  order.id = item.id = id_of(item.wanted);
  return item;
}

/// So that the id means something after a restart.
Result<void> NativeApi::keep(const Item& item) {
  if (service_.journal().knows(item.id)) return {};
  const Order& order = item.wanted.order;
  ASSIGN_OR_RETURN(const std::string digest, store_.put_blob(order.source));
  return service_.journal().add({item.id, order.key, item.wanted.task->id, item.wanted.reward->id(),
                                 digest, order.is_answer, order.client, order.group});
}

Result<std::optional<Item>> NativeApi::find(const std::string& id, const std::string& client) {
  ASSIGN_OR_RETURN(const auto entry, service_.journal().find(id));
  if (!entry || entry->client != client) return std::optional<Item>();
  Item item;
  item.id = id;
  item.wanted.task = service_.task(entry->task_id);
  if (!item.wanted.task) return Error{ErrorKind::not_found, service_.unknown_task(entry->task_id)};
  ASSIGN_OR_RETURN(item.wanted.reward, service_.reward(entry->reward));
  Order& order = item.wanted.order;
  order.task = item.wanted.task;
  order.is_answer = entry->is_answer;
  order.group = entry->group;
  order.client = client;
  order.id = id;
  order.deadline = seconds_from_now(service_.options().deadline_seconds);
  ASSIGN_OR_RETURN(order.source, store_.blob(entry->source_digest));
  // Anew, not the journal's: the task or the server's options may have changed since.
  ASSIGN_OR_RETURN(order.key, service_.bench().key(*order.task, order.source, order.is_answer));
  return std::optional<Item>(std::move(item));
}

Desk::Placed NativeApi::place(const Item& item, std::function<void(JudgedPointer)> done,
                              Desk::OnPhase on_phase) {
  const auto remember = [self = shared_from_this(), id = item.id,
                         done = std::move(done)](const JudgedPointer& judged) {
    self->remember_end(id, judged);
    done(judged);
  };
  return service_.desk().place(item.wanted.order, remember, std::move(on_phase));
}

void NativeApi::remember_end(const std::string& id, const JudgedPointer& judged) {
  const std::lock_guard lock(mutex_);
  if (judged->policy_evidence()) {  // of another request for the same id, which did not give up
    ended_.erase(id);
    return;
  }
  if (ended_.emplace(id, judged).second) ended_order_.push_back(id);
  if (ended_order_.size() <= kMostEnded) return;
  ended_.erase(ended_order_.front());
  ended_order_.pop_front();
}

JudgedPointer NativeApi::ended(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = ended_.find(id);
  return found == ended_.end() ? nullptr : found->second;
}

void NativeApi::reply_pending(const std::shared_ptr<Exchange>& exchange, const Item& item) {
  const auto standing = service_.desk().standing(item.wanted.order.key);
  reply_json(exchange, 202, pending_json(item.id, standing.value_or(Standing{})),
             {{"Retry-After",
               fmt::format("{:.0f}", std::ceil(std::clamp(standing ? standing->eta_seconds : 1.0,
                                                          1.0, 60.0)))}});
}

void NativeApi::answer_within(const std::shared_ptr<Exchange>& exchange, Item item, double wait) {
  const auto shared = std::make_shared<const Item>(std::move(item));
  const auto answered = std::make_shared<std::atomic<bool>>(false);
  const Desk::Placed placed = place(*shared, [=](const JudgedPointer& judged) {
    *answered = true;
    json body = result_json(shared->id, *judged, *shared->wanted.reward);
    if (shared->was_completion)
      body["extracted"] = {{"code", shared->wanted.code}, {"how", shared->wanted.extraction}};
    reply_json(exchange, 200, body);
  });
  if (placed.refusal) return reply_refusal(exchange, *placed.refusal);
  if (*answered) return;
  if (wait <= 0) return reply_pending(exchange, *shared);
  exchange->on_gone([this, self = shared_from_this(), ticket = placed.ticket] {
    service_.desk().cancel(ticket);
  });
  service_.desk().after(wait, [self = shared_from_this(), shared, answered,
                               weak = std::weak_ptr<Exchange>(exchange)] {
    const auto waiting = weak.lock();
    if (waiting && !*answered) self->reply_pending(waiting, *shared);
  });
}

void NativeApi::post(Call call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return reply_error(call.exchange, body.error());
  const Result<double> wait = wait_of(call.request, kDefaultWaitSeconds);
  if (!wait.ok()) return reply_error(call.exchange, wait.error());
  Result<Item> item = read_item(*body, call.request, "");
  if (!item.ok()) return reply_error(call.exchange, item.error());
  if (const std::string key = call.request.header("idempotency-key"); !key.empty()) {
    if (key.size() > kLongestName)
      return call.exchange->reply(
          error_reply(400, "Idempotency-Key is longer than 200 characters"));
    const std::string digest = sha256(call.request.body);
    const Result<std::string> first = service_.journal().claim(call.request.client, key, digest);
    if (!first.ok()) return reply_error(call.exchange, first.error());
    if (*first != digest)
      return call.exchange->reply(
          error_reply(409, "this Idempotency-Key was used with another body before"));
  }
  if (const Result<void> kept = keep(*item); !kept.ok())
    return reply_error(call.exchange, kept.error());
  {
    const std::lock_guard lock(mutex_);
    ended_.erase(item->id);
  }
  answer_within(call.exchange, *std::move(item), *wait);
}

/// A batch on its way out: lines in completion order.
struct Batch {
  std::shared_ptr<Exchange> exchange;
  std::mutex mutex;
  size_t left = 0, done = 0, cancelled = 0;

  void line(size_t index, const Item& item, const Judged& judged) {
    json body = result_json(item.id, judged, *item.wanted.reward);
    body["index"] = index;
    const std::lock_guard lock(mutex);
    exchange->write(json_text(body) + "\n");
    ++(judged.verdict == Verdict::cancelled ? cancelled : done);
    if (--left > 0) return;
    exchange->write(json_text({{"end", true}, {"done", done}, {"cancelled", cancelled}}) + "\n");
    exchange->end();
  }
};

void NativeApi::post_batch(Call call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return reply_error(call.exchange, body.error());
  JsonFields fields(*body);
  const json* list = fields.array("items");
  const bool detach = fields.boolean("detach", false);
  if (!list || list->empty() || list->size() > kMostItems)
    fields.complain("items", fmt::format("must be an array of 1 to {} evaluations", kMostItems));
  if (!fields.complaint().empty())
    return reply_error(call.exchange, {ErrorKind::invalid, fields.complaint()});
  std::vector<Item> items;
  for (size_t i = 0; i < list->size(); ++i) {
    json one = (*list)[i];
    if (one.is_object())  // what the batch says once holds for every item that does not say it
      for (const char* key : {"group_id", "deadline_s", "reward_spec", "priority", "task_id"})
        if (body->contains(key) && !one.contains(key)) one[key] = (*body)[key];
    Result<Item> item = read_item(one, call.request, fmt::format("items[{}].", i));
    if (!item.ok())
      return reply_error(call.exchange, {item.error().kind,
                                         fmt::format("items[{}]: {}", i, item.error().message)});
    items.push_back(*std::move(item));
  }
  for (const Item& item : items)
    if (const Result<void> kept = keep(item); !kept.ok())
      return reply_error(call.exchange, kept.error());

  const auto batch = std::make_shared<Batch>();
  batch->exchange = call.exchange;
  batch->left = items.size();
  std::vector<uint64_t> tickets;
  for (size_t i = 0; i < items.size(); ++i) {
    // The first asks whether there is room; a batch is taken whole or not at all.
    items[i].wanted.order.parked = i > 0;
    const auto shared = std::make_shared<const Item>(std::move(items[i]));
    const Desk::Placed placed = place(*shared, [batch, shared, i](const JudgedPointer& judged) {
      batch->line(i, *shared, *judged);
    });
    if (placed.refusal) return reply_refusal(call.exchange, *placed.refusal);
    if (i == 0) call.exchange->start_stream({200, "", "application/x-ndjson", {}});
    tickets.push_back(placed.ticket);
  }
  if (detach) return;
  call.exchange->on_gone([self = shared_from_this(), this, tickets] {
    for (const uint64_t ticket : tickets) service_.desk().cancel(ticket);
  });
}

void NativeApi::get(Call call) {
  const Result<double> wait = wait_of(call.request, 0);
  if (!wait.ok()) return reply_error(call.exchange, wait.error());
  Result<std::optional<Item>> item = find(call.parts[0], call.request.client);
  if (!item.ok()) return reply_error(call.exchange, item.error());
  if (!*item)
    return call.exchange->reply(error_reply(404, "there is no evaluation " + call.parts[0]));
  if (const JudgedPointer judged = ended(call.parts[0]))
    return reply_json(call.exchange, 200,
                      result_json(call.parts[0], *judged, *(*item)->wanted.reward));
  const bool under_way = service_.desk().standing((*item)->wanted.order.key).has_value();
  if (under_way && *wait <= 0) return reply_pending(call.exchange, **item);
  // Not under way: finished, or lost in a restart; placing it again finds out. The moment is for
  // the store to be asked.
  (*item)->wanted.order.parked = true;
  answer_within(call.exchange, **std::move(item), std::max(*wait, 0.5));
}

void NativeApi::events(Call call) {
  Result<std::optional<Item>> item = find(call.parts[0], call.request.client);
  if (!item.ok()) return reply_error(call.exchange, item.error());
  if (!*item)
    return call.exchange->reply(error_reply(404, "there is no evaluation " + call.parts[0]));
  const std::shared_ptr<Exchange> exchange = call.exchange;
  const auto shared = std::make_shared<const Item>(**std::move(item));
  const auto event = [exchange](std::string_view name, const json& data) {
    exchange->write(fmt::format("event: {}\ndata: {}\n\n", name, json_text(data)));
  };
  exchange->start_stream({200, "", "text/event-stream", {{"Cache-Control", "no-store"}}});
  const auto done = [=](const JudgedPointer& judged) {
    event("done", result_json(shared->id, *judged, *shared->wanted.reward));
    exchange->end();
  };
  if (const JudgedPointer judged = ended(shared->id)) return done(judged);
  Item order = *shared;
  order.wanted.order.parked = true;
  const Desk::Placed placed = place(order, done, [=](const Standing& standing) {
    if (standing.phase != Phase::done)
      event(name(standing.phase), pending_json(shared->id, standing));
  });
  exchange->on_gone([self = shared_from_this(), this, ticket = placed.ticket] {
    service_.desk().cancel(ticket);
  });
}

void NativeApi::cancel(Call call) {
  const Result<std::optional<JournalEntry>> entry = service_.journal().find(call.parts[0]);
  if (!entry.ok()) return reply_error(call.exchange, entry.error());
  if (!*entry || (*entry)->client != call.request.client)
    return call.exchange->reply(error_reply(404, "there is no evaluation " + call.parts[0]));
  reply_json(call.exchange, 200, {{"cancelled", service_.desk().cancel_id(call.parts[0]) > 0}});
}

void NativeApi::cancel_group(Call call) {
  const size_t count = service_.desk().cancel_group(call.parts[0], call.request.client);
  reply_json(call.exchange, 200, {{"cancelled", count > 0}, {"count", count}});
}

void NativeApi::rescore(Call call) {
  const Result<json> body = json_body(call.request.body);
  if (!body.ok()) return reply_error(call.exchange, body.error());
  JsonFields fields(*body);
  const json* ids = fields.array("ids");
  const std::string reward_name = fields.text("reward_spec");
  if (!ids || ids->size() > kMostItems)
    fields.complain("ids", fmt::format("must be an array of at most {} ids", kMostItems));
  if (!fields.complaint().empty())
    return reply_error(call.exchange, {ErrorKind::invalid, fields.complaint()});
  const Result<const RewardFormula*> reward = service_.reward(reward_name);
  if (!reward.ok()) return reply_error(call.exchange, reward.error());
  json results = json::array();
  for (const json& id : *ids) {
    const std::string text = id.is_string() ? id.get<std::string>() : "";
    const Result<std::optional<Item>> item = find(text, call.request.client);
    json row = {{"id", text}, {"reward_spec", (*reward)->id()}, {"found", false}};
    row.update(reward_json(std::nullopt));
    if (item.ok() && *item) {
      const std::string& key = (*item)->wanted.order.key;
      JudgedPointer judged = service_.desk().remembered(key);
      if (!judged)
        if (Result<std::optional<Judged>> stored = service_.bench().stored(key);
            stored.ok() && *stored)
          judged = std::make_shared<const Judged>(**std::move(stored));
      if (judged) {
        row["found"] = true;
        row.update(reward_json(reward_of(*judged, **reward)));
      }
    }
    results.push_back(row);
  }
  reply_json(call.exchange, 200, {{"results", results}});
}

}  // namespace

void add_native_api(Router& router, Service& service, Store& store) {
  const auto api = std::make_shared<NativeApi>(service, store);
  const auto add = [&](const char* method, const char* pattern, void (NativeApi::*answer)(Call)) {
    router.add({method, pattern, [api, answer](Call call) { ((*api).*answer)(std::move(call)); },
                false, true});
  };
  add("POST", "/v1/evaluations", &NativeApi::post);
  add("POST", "/v1/evaluations:batch", &NativeApi::post_batch);
  add("GET", "/v1/evaluations/{id}", &NativeApi::get);
  add("DELETE", "/v1/evaluations/{id}", &NativeApi::cancel);
  add("GET", "/v1/evaluations/{id}/events", &NativeApi::events);
  add("DELETE", "/v1/groups/{group_id}", &NativeApi::cancel_group);
  add("POST", "/v1/rescore", &NativeApi::rescore);
}

}  // namespace assay
