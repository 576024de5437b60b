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

#include "agents/run/channel.h"
#include "agents/run/ledger.h"
#include "agents/run/open_sample.h"
#include "base/digest.h"

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

uint64_t episode_seed(const std::string& task, int number) {
  return std::stoull(sha256(fmt::format("{}/{}", task, number)).substr(0, 16), nullptr, 16);
}

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

  std::map<uint64_t, OpenSample> open;  // by a running number
  uint64_t opened = 0;
  std::deque<uint64_t> ready;  // samples whose loop should be asked
  size_t next_cell = 0;        // of samples x tasks x parts
  int generating = 0;
  int judging = 0;
  RunStatus status;
  std::vector<double> charged;                              // by part
  std::vector<std::string> stopped;                         // by part; empty: goes on
  Ledger ledger;                                            // by part and task
  std::vector<std::map<std::string, std::string>> limited;  // by part: task to its limit
  std::map<std::string, PromptValues> values;               // by task
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
  Result<void> ask_loop(uint64_t id);
  Result<void> request(uint64_t id, const Proposal& proposal);
  Result<void> on_generation(Event& event);
  void charge_answer(const OpenSample& sample, const TurnRow& row);
  Result<void> on_judgement(Event& event);
  Result<void> finish(uint64_t id);
  Result<void> fail(uint64_t id, const std::string& failure_class, const std::string& text);
  void judge_turn(uint64_t id, size_t index, std::string answer, std::string code);
  void judge_loop();
  void spend(const OpenSample& sample, const Spent& more) {
    ledger.spend(sample.part, sample.task->id, more);
  }
  std::string limit_reached(const OpenSample& sample, const Budget& budget, const Spent& used,
                            double wall) const;
  std::string why_left(size_t part) const;
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
  charged.resize(plan.parts.size());
  limited.resize(plan.parts.size());
  stopped.resize(plan.parts.size());
  for (size_t part = 0; part < plan.parts.size(); ++part) {
    RETURN_IF_ERROR(ledger.read(part, plan.parts[part].row.id, store));
    charged[part] = plan.parts[part].row.charged_seconds;
  }
  system =
      plan.prompts->render("system", task_values(*plan.tasks.at(0), plan.device, plan.language));
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
    const std::string why = why_left(part);
    RETURN_IF_ERROR(store.set_progress(plan.parts[part].row.id, charged[part], why));
    if (!why.empty()) summary.stopped.push_back(plan.parts[part].row.agent + ": " + why);
  }
  report(true);
  summary.status = status;
  summary.interrupted = !interrupted.empty();
  return summary;
}

/// Why a part is not finished, for people; empty where it is.
std::string Coordinator::Impl::why_left(size_t part) const {
  if (!stopped[part].empty()) return stopped[part];
  if (!interrupted.empty() || limited[part].empty()) return interrupted;
  const auto& [task, limit] = *limited[part].begin();
  const size_t more = limited[part].size() - 1;
  return fmt::format("task budget reached, {} of task {}{}", limit, task,
                     more > 0 ? fmt::format(", and {} more tasks", more) : "");
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
  OpenSample sample;
  sample.part = part;
  sample.task = &task;
  sample.language = plan.language;
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
  if (of_task.empty()) of_task = task_values(task, plan.device, plan.language);
  sample.episode.prompts = plan.prompts;
  sample.episode.values = of_task;
  sample.episode.seed = episode_seed(task.id, number);
  const uint64_t id = opened++;
  OpenSample& kept = open[id] = std::move(sample);
  ASSIGN_OR_RETURN(std::vector<OpenSample::Unjudged> unjudged, kept.read_back(store));
  for (auto& [turn, answer] : unjudged)
    judge_turn(id, turn, std::move(answer), kept.episode.turns[turn].code);
  if (kept.pending == 0) ready.push_back(id);
  return {};
}

/// A limit that forbids this sample more turns; empty: none. One that has begun is not cut off by
/// the number of samples.
std::string Coordinator::Impl::limit_reached(const OpenSample& sample, const Budget& budget,
                                             const Spent& used, double wall) const {
  const std::string reached = budget.reached(used, wall);
  const bool begun = !sample.episode.turns.empty();
  return begun && reached.starts_with("samples") ? "" : reached;
}

/// Asks the loop what comes next for this sample, and for that.
Result<void> Coordinator::Impl::ask_loop(uint64_t id) {
  const auto found = open.find(id);
  if (found == open.end()) return {};
  OpenSample& sample = found->second;
  if (stopped[sample.part].empty()) {
    const std::string reached =
        limit_reached(sample, plan.budget, ledger.of(sample.part), charged[sample.part]);
    if (!reached.empty()) stopped[sample.part] = "budget reached, " + reached;
  }
  if (sample.broken) {
    // What is open stays unfinished in the store.
    if (sample.pending == 0) open.erase(found);
    return {};
  }
  const Spent& of_task = ledger.of(sample.part, sample.task->id);
  const std::string limit =
      limit_reached(sample, plan.task_budget, of_task, of_task.asking_seconds);
  if (!limit.empty()) limited[sample.part][sample.task->id] = limit;
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
  if (sample.episode.turns.empty()) spend(sample, {.samples = 1});
  for (const Proposal& proposal : proposals) RETURN_IF_ERROR(request(id, proposal));
  return {};
}

Result<void> Coordinator::Impl::request(uint64_t id, const Proposal& proposal) {
  OpenSample& sample = open.at(id);
  ASSIGN_OR_RETURN(const size_t index, sample.add_turn(proposal, system, store.store()));
  GenerationRequest request;
  request.task = sample.task;
  request.language = sample.language;
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
  OpenSample& sample = open.at(event.open);
  --sample.pending;
  Generation& generation = *event.generation;
  if (!generation.failure) {
    RETURN_IF_ERROR(sample.store_answer(event.turn, generation, store));
    charge_answer(sample, sample.rows[event.turn]);
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
  RETURN_IF_ERROR(store.add_failed_attempts(sample.row.id, attempt_rows(generation.attempts)));
  // They may have been billed.
  for (const Attempt& attempt : generation.attempts)
    spend(sample, {.tokens = attempt.usage.total(), .dollars = attempt.cost_dollars.value_or(0)});
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

void Coordinator::Impl::charge_answer(const OpenSample& sample, const TurnRow& row) {
  spend(sample, {.turns = 1,
                 .tokens = row.cached ? 0 : row.tokens,
                 .dollars = row.cost_dollars.value_or(0),
                 .asking_seconds = row.seconds - row.waiting_seconds});
  if (!row.cached) status.tokens += row.tokens;
  status.dollars += row.cost_dollars.value_or(0);
  if (row.cost_dollars) return;
  status.dollars_known = false;
  if ((plan.budget.dollars || plan.task_budget.dollars) && stopped[sample.part].empty())
    stopped[sample.part] =
        "a budget of dollars cannot be kept: what an answer cost is not known (--prices needs a "
        "row "
        "for the model, and the server must tell its usage)";
}

void Coordinator::Impl::judge_turn(uint64_t id, size_t index, std::string answer,
                                   std::string code) {
  OpenSample& sample = open.at(id);
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
  OpenSample& sample = open.at(event.open);
  --sample.pending;
  if (!event.judgement->ok()) return event.judgement->error();
  Judgement& judgement = **event.judgement;
  RETURN_IF_ERROR(sample.store_judgement(event.turn, judgement, plan.turns, store));
  const Feedback& feedback = judgement.feedback;
  spend(sample, {.device_seconds = judgement.device_seconds});
  device_seconds += judgement.device_seconds;
  if (feedback.outcome == Outcome::harness_error)
    return fail(event.open, "infra", "harness_error: " + feedback.explanation);
  ready.push_back(event.open);
  return {};
}

Result<void> Coordinator::Impl::finish(uint64_t id) {
  OpenSample& sample = open.at(id);
  if (const auto turn = sample.speaking_turn()) {
    sample.row.best_turn_id = sample.rows[*turn].id;
    ++status.verdicts[std::string(name(sample.episode.turns[*turn].outcome))];
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
  OpenSample& sample = open.at(id);
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
