// Theory of operation
//
// One thread (the caller's) owns all state: which samples are open, their turns, what was spent. It
// waits for events: a generation came back, a judgement came back. Agents generate on threads of
// their own; a few judge threads take jobs from a queue. So a slow model does not idle the device,
// and a busy device does not stop generation, up to bounds: as many requests as `generations`, and
// none while `waiting_judgements` answers wait to be judged. Samples are opened only when there is
// room, which bounds memory whatever the size of the run.
//
// A turn is stored twice: when its answer arrives (the answer was paid for and must not be lost)
// and when it is judged. After an interruption the stored turns are read back, answers that were
// not judged are judged, and the loop is asked what comes next; nothing is asked for twice.
//
// A sample ends as done (the best correct turn speaks for it, else the last), or as failed, when
// there was trouble that is not the agent's: that is never a verdict, and the next start tries
// again. A fatal failure of an agent (no key, no money) stops its part and no other.
//
// The wall budget is charged by the tick, and not while every request waits for a rate limit.
#include "agents/run/coordinator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

#include "agents/http/json.h"
#include "agents/run/channel.h"
#include "base/digest.h"
#include "evaluator/extract.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// What an answer says besides its code: kept in conversations, cut to a few sentences.
std::string summary_of(const std::string& answer, const Extraction& extraction) {
  std::string text = answer;
  if (!extraction.code.empty()) {
    text.erase(extraction.offset, extraction.code.size());
    for (size_t fence = text.find("```"); fence != std::string::npos; fence = text.find("```"))
      text.erase(fence, text.find('\n', fence) - fence);
  }
  if (const size_t think = text.rfind("</think"); think != std::string::npos)
    text.erase(0, std::min(text.find('>', think), text.size() - 1) + 1);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  return head_and_tail(text, 2000);
}

AttemptRow attempt_row(const Attempt& attempt) {
  AttemptRow row;
  row.status = attempt.status;
  row.request_id = attempt.request_id;
  if (attempt.failure) {
    row.failure_class = name(attempt.failure->failure);
    row.failure = attempt.failure->code + ": " + attempt.failure->message;
  }
  row.seconds = attempt.seconds;
  row.waited_seconds = attempt.waited_seconds;
  row.input_uncached = attempt.usage.input_uncached;
  row.input_cache_read = attempt.usage.input_cache_read;
  row.input_cache_write = attempt.usage.input_cache_write;
  row.output_visible = attempt.usage.output_visible;
  row.output_reasoning = attempt.usage.output_reasoning;
  row.raw_usage = attempt.usage.raw_json;
  row.cost_dollars = attempt.cost_dollars;
  return row;
}

uint64_t episode_seed(const std::string& task, int number) {
  return std::stoull(sha256(fmt::format("{}/{}", task, number)).substr(0, 16), nullptr, 16);
}

/// A sample that is being worked on.
struct Open {
  size_t part = 0;
  const Task* task = nullptr;
  SampleRow row;
  Episode episode;
  std::vector<TurnRow> rows;  // of episode.turns, in their order
  int pending = 0;            // generations and judgements
  bool broken = false;        // no further turns: trouble, or the part has stopped
  bool ended = false;         // no further turns, and what there is counts
};

struct JudgeJob {
  uint64_t open = 0;
  size_t turn = 0;
  const Task* task = nullptr;
  std::string answer;
  std::string code;
};

struct Event {
  uint64_t open = 0;
  size_t turn = 0;
  std::optional<Generation> generation;
  std::optional<Result<Judgement>> judgement;
};

}  // namespace

struct Coordinator::Impl {
  RunPlan plan;
  RunStore& store;
  Judge& judge;

  std::map<uint64_t, Open> open;  // by a running number
  uint64_t opened = 0;
  std::deque<uint64_t> ready;  // samples whose loop should be asked
  size_t next_cell = 0;        // of samples x tasks x parts
  int generating = 0;
  int judging = 0;
  RunStatus status;
  std::vector<Spent> spent;              // by part
  std::vector<double> charged;           // by part
  std::vector<int64_t> samples_started;  // by part
  std::vector<std::string> stopped;      // by part; empty: goes on
  std::map<std::pair<size_t, std::string>, Spent> task_spent;
  std::map<std::pair<size_t, std::string>, double> task_seconds;
  std::map<std::string, PromptValues> values;  // by task
  std::string system;
  std::string interrupted;
  int newly_done = 0;
  double device_seconds = 0;
  Clock::time_point start = Clock::now();
  Clock::time_point reported{};  // when on_progress was called last

  Channel<Event> events;
  Channel<JudgeJob> jobs;
  std::vector<std::thread> judges;

  Impl(RunPlan the_plan, RunStore& the_store, Judge& the_judge)
      : plan(std::move(the_plan)), store(the_store), judge(the_judge) {}

  Result<RunSummary> run();
  Result<void> open_more();
  Result<void> open_cell(size_t part, const Task& task, int number);
  Result<void> read_back(Open& sample, uint64_t id);
  Result<void> ask_loop(uint64_t id);
  Result<void> request(uint64_t id, const Proposal& proposal);
  Result<void> on_generation(Event& event);
  Result<void> store_answer(Open& sample, size_t index, Generation& generation);
  Result<void> on_judgement(Event& event);
  Result<void> finish(uint64_t id);
  Result<void> fail(uint64_t id, const std::string& failure_class, const std::string& text);
  void judge_turn(uint64_t id, size_t index, std::string answer, std::string code);
  void judge_loop();
  std::string limit_reached(const Open& sample) const;
  bool room() const {
    return generating < plan.generations && judging < plan.waiting_judgements + plan.judges;
  }
  void charge(double seconds);
  void report(bool last);
  size_t cells() const {
    return static_cast<size_t>(plan.samples) * plan.tasks.size() * plan.parts.size();
  }
};

Result<RunSummary> Coordinator::Impl::run() {
  spent.resize(plan.parts.size());
  charged.resize(plan.parts.size());
  samples_started.resize(plan.parts.size());
  stopped.resize(plan.parts.size());
  for (size_t part = 0; part < plan.parts.size(); ++part) {
    ASSIGN_OR_RETURN(spent[part], store.spent(plan.parts[part].row.id));
    charged[part] = plan.parts[part].row.charged_seconds;
  }
  system = plan.prompts->render("system", task_values(*plan.tasks.at(0), plan.device));
  status.total = static_cast<int>(cells());
  for (int i = 0; i < plan.judges; ++i) judges.emplace_back([this] { judge_loop(); });

  Clock::time_point last_tick = start;
  Clock::time_point interrupted_at{};
  bool cancelled = false;
  RunSummary summary;
  for (;;) {
    const int interrupts = plan.interrupts ? plan.interrupts->load() : 0;
    if (interrupts > 0 && interrupted.empty()) {
      interrupted = "interrupted";
      interrupted_at = Clock::now();
    }
    // Answers that are nearly there are waited for: they are being paid for.
    if (!interrupted.empty() && !cancelled &&
        seconds_between(interrupted_at, Clock::now()) > plan.grace_seconds / 3) {
      cancelled = true;
      for (const RunPart& part : plan.parts) part.agent->cancel();
    }
    // Samples first whose loop has more to ask, then new ones, as far as there is room.
    while (!ready.empty() && (room() || !interrupted.empty())) {
      const uint64_t id = ready.front();
      ready.pop_front();
      RETURN_IF_ERROR(ask_loop(id));
    }
    if (ready.empty() && interrupted.empty()) RETURN_IF_ERROR(open_more());
    if (generating == 0 && judging == 0 && ready.empty() && events.size() == 0) break;
    if (!interrupted.empty() &&
        seconds_between(interrupted_at, Clock::now()) > plan.grace_seconds) {
      summary.abandoned = true;
      break;
    }
    if (auto event = events.pop(0.1)) {
      Result<void> handled = event->generation ? on_generation(*event) : on_judgement(*event);
      if (!handled.ok()) return handled.error();
    }
    const auto now = Clock::now();
    charge(seconds_between(last_tick, now));
    last_tick = now;
    report(false);
  }
  for (size_t part = 0; part < plan.parts.size(); ++part) {
    std::string why = stopped[part].empty() ? interrupted : stopped[part];
    RETURN_IF_ERROR(store.set_progress(plan.parts[part].row.id, charged[part], why));
    if (!why.empty()) summary.stopped.push_back(plan.parts[part].row.agent + ": " + why);
  }
  report(true);
  summary.status = status;
  summary.interrupted = !interrupted.empty();
  return summary;
}

Result<void> Coordinator::Impl::open_more() {
  // Samples are opened one number after the other, so that an early stop has touched every task.
  while (next_cell < cells() && room() && ready.empty()) {
    const size_t cell = next_cell++;
    const size_t part = cell % plan.parts.size();
    const size_t task = cell / plan.parts.size() % plan.tasks.size();
    const int number = static_cast<int>(cell / plan.parts.size() / plan.tasks.size());
    RETURN_IF_ERROR(open_cell(part, *plan.tasks[task], number));
    while (!ready.empty() && room()) {
      const uint64_t id = ready.front();
      ready.pop_front();
      RETURN_IF_ERROR(ask_loop(id));
    }
  }
  return {};
}

Result<void> Coordinator::Impl::open_cell(size_t part, const Task& task, int number) {
  SampleRow wanted;
  wanted.run_id = plan.parts[part].row.id;
  wanted.task_id = task.id;
  wanted.suite = task.suite;
  wanted.level = task.level;
  wanted.number = number;
  Open sample;
  sample.part = part;
  sample.task = &task;
  if (!stopped[part].empty()) return {};
  ASSIGN_OR_RETURN(sample.row, store.open_sample(wanted));
  // A refused request would be refused again; the rest is worth another attempt.
  const bool refused = sample.row.state == SampleState::failed &&
                       sample.row.failure_class == name(FailureClass::fail_sample);
  if (refused) {
    ++status.failed;
    return {};
  }
  if (sample.row.state == SampleState::done) {
    ++status.done;
    return {};
  }
  sample.row.state = SampleState::running;
  PromptValues& of_task = values[task.id];
  if (of_task.empty()) of_task = task_values(task, plan.device);
  sample.episode.prompts = plan.prompts;
  sample.episode.values = of_task;
  sample.episode.seed = episode_seed(task.id, number);
  const uint64_t id = opened++;
  Open& kept = open[id] = std::move(sample);
  RETURN_IF_ERROR(read_back(kept, id));
  if (kept.pending == 0) ready.push_back(id);
  return {};
}

/// The stored turns of a sample that an earlier start began.
Result<void> Coordinator::Impl::read_back(Open& sample, uint64_t id) {
  ASSIGN_OR_RETURN(sample.rows, store.turns(sample.row.id));
  for (size_t i = 0; i < sample.rows.size(); ++i) {
    const TurnRow& row = sample.rows[i];
    Turn& turn = sample.episode.turns.emplace_back();
    turn.parent = row.parent;
    turn.kind = row.kind;
    turn.island = row.island;
    turn.wants_code = row.kind != "reflect";
    ASSIGN_OR_RETURN(const std::string answer, store.store().blob(row.answer_digest));
    const Extraction extraction = turn.wants_code ? extract_code(answer) : Extraction{};
    turn.text = summary_of(answer, extraction);
    turn.code = extraction.code;
    if (!turn.wants_code) {
      turn.done = true;
    } else if (row.outcome.empty() || row.outcome == name(Outcome::harness_error)) {
      judge_turn(id, i, answer, turn.code);
    } else {
      turn.done = true;
      turn.outcome = outcome_from_name(row.outcome).value_or(Outcome::harness_error);
      ASSIGN_OR_RETURN(const std::string feedback, store.store().blob(row.feedback_digest));
      if (const auto json = parse_json(feedback); json.ok())
        turn.feedback = string_at(*json, {"text"});
      if (row.evaluation_id) {
        ASSIGN_OR_RETURN(const auto speed, speeds(store.store(), row.evaluation_id));
        if (!speed.empty()) turn.speedup = speed.begin()->second.speedup;
      }
    }
  }
  return {};
}

std::string Coordinator::Impl::limit_reached(const Open& sample) const {
  const std::pair key(sample.part, sample.task->id);
  const auto used = task_spent.find(key);
  const auto seconds = task_seconds.find(key);
  const std::string of_task =
      plan.task_budget.reached(used == task_spent.end() ? Spent{} : used->second, 0,
                               seconds == task_seconds.end() ? 0 : seconds->second);
  return of_task.empty() ? "" : fmt::format("task budget reached, {}", of_task);
}

/// Asks the loop what comes next for this sample, and for that.
Result<void> Coordinator::Impl::ask_loop(uint64_t id) {
  const auto found = open.find(id);
  if (found == open.end()) return {};
  Open& sample = found->second;
  if (stopped[sample.part].empty()) {
    const std::string reached =
        plan.budget.reached(spent[sample.part], samples_started[sample.part], charged[sample.part]);
    const bool begun = !sample.episode.turns.empty();
    // A sample that has begun is not cut off by the number of samples.
    if (!reached.empty() && !(begun && reached.starts_with("samples")))
      stopped[sample.part] = "budget reached, " + reached;
  }
  if (sample.broken) {
    // What is open stays unfinished in the store.
    if (sample.pending == 0) open.erase(found);
    return {};
  }
  const std::string limit = limit_reached(sample);
  std::vector<Proposal> proposals;
  if (limit.empty() && !sample.ended) proposals = plan.loop->next(sample.episode);
  if (proposals.empty() && !sample.episode.turns.empty()) {
    if (sample.pending == 0) return finish(id);
    return {};
  }
  // A sample that is stopped before its end can go on later.
  if (!limit.empty() || !stopped[sample.part].empty() || !interrupted.empty()) {
    if (sample.pending == 0) open.erase(found);
    return {};
  }
  if (sample.episode.turns.empty()) ++samples_started[sample.part];
  for (const Proposal& proposal : proposals) RETURN_IF_ERROR(request(id, proposal));
  return {};
}

Result<void> Coordinator::Impl::request(uint64_t id, const Proposal& proposal) {
  Open& sample = open.at(id);
  const size_t index = sample.episode.turns.size();
  Turn& turn = sample.episode.turns.emplace_back();
  turn.parent = proposal.parent;
  turn.kind = proposal.kind;
  turn.island = proposal.island;
  turn.wants_code = proposal.wants_code;
  TurnRow& row = sample.rows.emplace_back();
  row.sample_id = sample.row.id;
  row.number = static_cast<int>(index);
  row.parent = proposal.parent;
  row.kind = proposal.kind;
  row.island = proposal.island;

  nlohmann::json prompt = {{"system", system}, {"messages", nlohmann::json::array()}};
  for (const Message& message : proposal.messages)
    prompt["messages"].push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                                  {"content", message.text}});
  ASSIGN_OR_RETURN(row.prompt_digest, store.store().put_blob(json_text(prompt)));

  GenerationRequest request;
  request.task = sample.task;
  request.sample = sample.row.number;
  request.turn = static_cast<int>(index);
  request.system = system;
  request.messages = proposal.messages;
  ++sample.pending;
  ++generating;
  plan.parts[sample.part].agent->generate(std::move(request), [this, id, index](Generation made) {
    events.push({id, index, std::move(made), std::nullopt});
  });
  return {};
}

Result<void> Coordinator::Impl::on_generation(Event& event) {
  --generating;
  Open& sample = open.at(event.open);
  --sample.pending;
  Generation& generation = *event.generation;
  if (!generation.failure) {
    RETURN_IF_ERROR(store_answer(sample, event.turn, generation));
    Turn& turn = sample.episode.turns[event.turn];
    if (turn.wants_code) {
      judge_turn(event.open, event.turn, generation.answer.text, turn.code);
    } else {
      turn.done = true;
      ready.push_back(event.open);
    }
    return {};
  }
  const ApiFailure& failure = *generation.failure;
  std::vector<AttemptRow> attempts;
  for (const Attempt& attempt : generation.attempts) attempts.push_back(attempt_row(attempt));
  RETURN_IF_ERROR(store.add_failed_attempts(sample.row.id, attempts));
  const std::string text =
      fmt::format("{}{}{}", failure.code, failure.code.empty() ? "" : ": ", failure.message);
  if (failure.failure == FailureClass::fatal_run && stopped[sample.part].empty())
    stopped[sample.part] = text;
  if (failure.failure == FailureClass::fatal_run || failure.failure == FailureClass::cancelled) {
    sample.broken = true;
    ready.push_back(event.open);
    return {};
  }
  // A conversation that grew too long ends with what it has.
  const bool has_verdict = std::ranges::any_of(
      sample.episode.turns, [](const Turn& turn) { return turn.wants_code && turn.done; });
  if (failure.failure == FailureClass::fail_sample && has_verdict) {
    sample.ended = true;
    ready.push_back(event.open);
    return {};
  }
  const FailureClass kept =
      failure.failure == FailureClass::rate_limit ? FailureClass::retry : failure.failure;
  return fail(event.open, name(kept), text);
}

Result<void> Coordinator::Impl::store_answer(Open& sample, size_t index, Generation& generation) {
  Turn& turn = sample.episode.turns[index];
  TurnRow& row = sample.rows[index];
  const std::string& answer = generation.answer.text;
  const Extraction extraction = turn.wants_code ? extract_code(answer) : Extraction{};
  turn.text = summary_of(answer, extraction);
  turn.code = extraction.code;
  Store& blobs = store.store();
  ASSIGN_OR_RETURN(row.answer_digest, blobs.put_blob(answer));
  if (!generation.request_body.empty()) {
    ASSIGN_OR_RETURN(row.request_digest, blobs.put_blob(generation.request_body));
  }
  if (!generation.answer.reasoning.empty()) {
    ASSIGN_OR_RETURN(row.reasoning_digest, blobs.put_blob(generation.answer.reasoning));
  }
  row.finish = name(generation.answer.finish);
  row.extraction = turn.wants_code ? extraction.how : "";
  row.cached = generation.cached;
  // Failed attempts may have been billed too.
  for (const Attempt& attempt : generation.attempts)
    if (attempt.failure) row.tokens += attempt.usage.total();
  row.tokens += generation.usage.total();
  row.output_tokens =
      generation.usage.output_visible.value_or(0) + generation.usage.output_reasoning.value_or(0);
  row.cost_dollars = generation.cost_dollars;
  row.seconds = generation.seconds;
  row.waiting_seconds = generation.waiting_seconds;
  row.served_model = generation.served_model;
  row.fingerprint = generation.fingerprint;
  row.response_id = generation.response_id;
  std::vector<AttemptRow> attempts;
  for (const Attempt& attempt : generation.attempts) attempts.push_back(attempt_row(attempt));
  RETURN_IF_ERROR(store.add_turn(row, attempts));

  Spent& of_task = task_spent[{sample.part, sample.task->id}];
  for (Spent* used : {&spent[sample.part], &of_task}) {
    ++used->turns;
    if (!row.cached) used->tokens += row.tokens;
    used->dollars += row.cost_dollars.value_or(0);
  }
  task_seconds[{sample.part, sample.task->id}] += row.seconds - row.waiting_seconds;
  if (!row.cached) status.tokens += row.tokens;
  status.dollars += row.cost_dollars.value_or(0);
  status.dollars_known = status.dollars_known && row.cost_dollars.has_value();
  return {};
}

void Coordinator::Impl::judge_turn(uint64_t id, size_t index, std::string answer,
                                   std::string code) {
  Open& sample = open.at(id);
  ++sample.pending;
  ++judging;
  jobs.push({id, index, sample.task, std::move(answer), std::move(code)});
}

void Coordinator::Impl::judge_loop() {
  for (;;) {
    auto job = jobs.pop(60);
    if (!job) {
      if (jobs.closed()) return;
      continue;
    }
    events.push(
        {job->open, job->turn, std::nullopt, judge.judge(*job->task, job->answer, job->code)});
  }
}

Result<void> Coordinator::Impl::on_judgement(Event& event) {
  --judging;
  Open& sample = open.at(event.open);
  --sample.pending;
  if (!event.judgement->ok()) return event.judgement->error();
  Judgement& judgement = **event.judgement;
  Turn& turn = sample.episode.turns[event.turn];
  TurnRow& row = sample.rows[event.turn];
  Feedback& feedback = judgement.feedback;
  turn.outcome = feedback.outcome;
  if (feedback.speed) turn.speedup = feedback.speed->speedup;
  turn.done = true;
  feedback.turns_left = std::max(0, plan.turns - sample.episode.code_turns());
  if (const auto best = sample.episode.best())
    feedback.best_speedup = sample.episode.turns[static_cast<size_t>(*best)].speedup;
  turn.feedback = render(feedback);
  ASSIGN_OR_RETURN(
      row.feedback_digest,
      store.store().put_blob(json_text({{"facts", to_json(feedback)}, {"text", turn.feedback}})));
  row.evaluation_id = judgement.evaluation_id;
  row.outcome = name(feedback.outcome);
  row.device_seconds = judgement.device_seconds;
  RETURN_IF_ERROR(store.set_judged(row));
  spent[sample.part].device_seconds += judgement.device_seconds;
  task_spent[{sample.part, sample.task->id}].device_seconds += judgement.device_seconds;
  device_seconds += judgement.device_seconds;
  if (feedback.outcome == Outcome::harness_error)
    return fail(event.open, "infra", "harness_error: " + feedback.explanation);
  ready.push_back(event.open);
  return {};
}

Result<void> Coordinator::Impl::finish(uint64_t id) {
  Open& sample = open.at(id);
  std::optional<int> best = sample.episode.best();
  for (int i = static_cast<int>(sample.episode.turns.size()) - 1; !best && i >= 0; --i)
    if (sample.episode.turns[static_cast<size_t>(i)].wants_code &&
        sample.episode.turns[static_cast<size_t>(i)].done)
      best = i;
  if (best) {
    sample.row.best_turn_id = sample.rows[static_cast<size_t>(*best)].id;
    ++status.verdicts[std::string(name(sample.episode.turns[static_cast<size_t>(*best)].outcome))];
  }
  sample.row.state = SampleState::done;
  sample.row.failure_class = sample.row.failure = "";
  RETURN_IF_ERROR(store.update_sample(sample.row));
  ++status.done;
  ++newly_done;
  open.erase(id);
  return {};
}

/// Trouble that is not the agent's. Turns in flight are waited for; the sample then goes.
Result<void> Coordinator::Impl::fail(uint64_t id, const std::string& failure_class,
                                     const std::string& text) {
  Open& sample = open.at(id);
  if (sample.row.state != SampleState::failed) {
    sample.row.state = SampleState::failed;
    sample.row.failure_class = failure_class;
    sample.row.failure = text;
    RETURN_IF_ERROR(store.update_sample(sample.row));
    ++status.failed;
  }
  sample.broken = true;
  ready.push_back(id);
  return {};
}

void Coordinator::Impl::charge(double seconds) {
  for (size_t part = 0; part < plan.parts.size(); ++part) {
    const AgentStatus agent = plan.parts[part].agent->status();
    const bool only_waits = agent.waiting > 0 && agent.in_flight == 0 && judging == 0;
    if (!only_waits) charged[part] += seconds;
  }
}

void Coordinator::Impl::report(bool last) {
  const auto now = Clock::now();
  if (!last && seconds_between(reported, now) < 0.2) return;
  reported = now;
  status.generating = generating;
  status.judging = judging;
  status.elapsed_seconds = seconds_between(start, now);
  status.device_busy =
      device_seconds / std::max(1e-9, status.elapsed_seconds * std::max(1, plan.judges));
  status.rate_limits = 0;
  status.trouble.clear();
  for (const RunPart& part : plan.parts) {
    const AgentStatus agent = part.agent->status();
    status.rate_limits += agent.rate_limits;
    if (status.trouble.empty()) status.trouble = agent.trouble;
  }
  const int left = status.total - status.done - status.failed;
  status.eta_seconds = newly_done > 0 ? status.elapsed_seconds / newly_done * left : -1;
  if (plan.on_progress) plan.on_progress(status);
}

Coordinator::Coordinator(RunPlan plan, RunStore& store, Judge& judge)
    : impl_(std::make_unique<Impl>(std::move(plan), store, judge)) {}

Coordinator::~Coordinator() {
  // Generations still in flight would call back into what is about to go.
  if (impl_->generating > 0)
    for (const RunPart& part : impl_->plan.parts) part.agent->cancel();
  while (impl_->generating > 0)
    if (auto event = impl_->events.pop(1); event && event->generation) --impl_->generating;
  impl_->jobs.close();
  for (std::thread& judge : impl_->judges) judge.join();
}

Result<RunSummary> Coordinator::run() { return impl_->run(); }

}  // namespace assay
