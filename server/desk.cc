// Theory of operation
//
// Orders come in, verdicts go out. Orders with the same key (same task, code and conditions) share
// one job, whichever client, protocol or reward they come from: the first makes the job, later ones
// join it while it waits or runs, and after that get its verdict from memory, or, when memory or
// the process has forgotten it, from the store. Trouble of ours is not remembered: the next order
// tries again.
//
// Jobs wait in one queue, ordered by priority, then by arrival; the jobs of a group stand where its
// first one stood, so that they are timed in one go, and on one lane: a group belongs to the lane
// that took its first job. Each lane (a device) has a few worker threads: while one is on the
// device, others compile and record. A job that ended in trouble of ours goes back to the queue, to
// another lane if there is one, until its attempts are used up.
//
// A ticket is one order's wait. It ends exactly once: with the job's verdict, with its deadline, or
// cancelled. A job whose last ticket ended leaves the queue; once it runs it is finished, because
// its verdict is kept and may be asked for again. Callbacks are collected under the lock and made
// after it, so that they may call the desk.
//
// Bounds: the queue (distinct jobs) and the live orders of a client. Orders whose clients cannot
// handle a refusal are parked instead; the number of connections bounds them.
#include "server/desk.h"

#include <algorithm>

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostGroups = 16'384;
/// A device that was trouble is not called ready; then it is, or nobody would ever try it again.
constexpr double kSuspectSeconds = 30;

double seconds_between(SteadyTime from, SteadyTime to) {
  return std::chrono::duration<double>(to - from).count();
}

void make(std::vector<std::function<void()>>& calls) {
  for (const auto& call : calls) call();
}

}  // namespace

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::queued:
      return "queued";
    case Phase::compiling:
      return "compiling";
    case Phase::checking:
      return "checking";
    case Phase::timing:
      return "timing";
    case Phase::done:
      return "done";
  }
  return "done";
}

std::optional<Priority> priority_from_name(std::string_view name) {
  if (name == "high") return Priority::high;
  if (name == "normal") return Priority::normal;
  if (name == "low") return Priority::low;
  return std::nullopt;
}

SteadyTime seconds_from_now(double seconds) {
  const double bounded = std::clamp(seconds, -1.0, 1e8);
  return Clock::now() +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(bounded));
}

double DeskStatus::eta_seconds(size_t position) const {
  size_t workers = 0;
  for (const Lane& lane : lanes) workers += lane.workers;
  return mean_seconds *
         (1 + static_cast<double>(position) / static_cast<double>(std::max<size_t>(1, workers)));
}

Desk::Desk(Bench& bench, DeskOptions options, DeskObserver* observer)
    : bench_(bench), options_(options), observer_(observer) {
  status_.mean_seconds = 1;
  for (size_t lane = 0; lane < bench.lanes(); ++lane)
    status_.lanes.push_back({bench.lane_name(lane), 0, bench.workers_per_lane(), 0, 0, true});
  suspect_until_.resize(bench.lanes());
  threads_.emplace_back([this] { run_timers(); });
  for (size_t lane = 0; lane < bench.lanes(); ++lane)
    for (size_t worker = 0; worker < bench.workers_per_lane(); ++worker)
      threads_.emplace_back([this, lane] { work(lane); });
}

Desk::~Desk() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_ready_.notify_all();
  timer_ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::optional<Refusal> Desk::refuse(const Order& order, bool new_job) const {
  if (order.parked) return std::nullopt;
  if (status_.draining) return Refusal{503, "this server is about to end; try again later", 5};
  const auto live = orders_of_.find(order.client);
  if (live != orders_of_.end() && live->second >= options_.client_quota)
    return Refusal{429,
                   "this token has " + std::to_string(live->second) +
                       " evaluations under way, as many as it may; wait for some of them",
                   std::max(1.0, status_.mean_seconds)};
  if (new_job && queue_.size() >= options_.queue_limit)
    return Refusal{503,
                   "the queue is full (" + std::to_string(queue_.size()) +
                       " evaluations wait); try again later",
                   std::clamp(status_.mean_seconds * 4, 1.0, 30.0)};
  return std::nullopt;
}

std::optional<Refusal> Desk::would_refuse(const std::string& client) const {
  Order order;
  order.client = client;
  const std::lock_guard lock(mutex_);
  return refuse(order, true);
}

void Desk::drain(double seconds) {
  std::unique_lock lock(mutex_);
  status_.draining = true;
  idle_.wait_until(lock, seconds_from_now(seconds), [&] { return status_.running == 0; });
}

Desk::Placed Desk::place(Order order, Done done, OnPhase on_phase) {
  JudgedPointer known;
  Calls calls;
  Placed placed;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = finished_.find(order.key); found != finished_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      known = found->second->second;
      ++status_.from_memory;
      placed.ticket = ++counter_;
    } else {
      const auto running = jobs_.find(order.key);
      if (auto refusal = refuse(order, running == jobs_.end())) {
        placed.refusal = std::move(refusal);
        return placed;
      }
      const uint64_t number = placed.ticket = ++counter_;
      ++orders_of_[order.client];
      std::shared_ptr<Job> job;
      if (running != jobs_.end()) {
        ++status_.joined;
        job = running->second;
      } else {
        job = std::make_shared<Job>();
        job->key = order.key;
        job->task = order.task;
        job->source = std::move(order.source);
        job->is_answer = order.is_answer;
        job->group = order.group;
        job->priority = order.priority;
        job->queued_at = Clock::now();
        jobs_[job->key] = job;
        enqueue(job);
      }
      order.source.clear();
      job->tickets.insert(number);
      if (order.priority < job->priority && job->phase == Phase::queued) {
        queue_.erase(place_of(*job));  // somebody is in more of a hurry
        job->priority = order.priority;
        queue_[place_of(*job)] = job;
      }
      Ticket& ticket = tickets_[number];
      ticket.number = number;
      ticket.order = std::move(order);
      ticket.done = std::move(done);
      ticket.on_phase = std::move(on_phase);
      if (ticket.order.deadline) {
        ticket.timer = timers_.emplace(*ticket.order.deadline,
                                       Timer{number, [this, number] { expire(number); }});
        ticket.has_timer = true;
        timer_ready_.notify_one();
      }
      announce(*job, calls);
    }
  }
  make(calls);
  if (known) {
    auto copy = std::make_shared<Judged>(*known);
    copy->cached = true;
    copy->times = {};
    if (observer_) observer_->answered(*copy);
    done(std::move(copy));
  }
  return placed;
}

void Desk::enqueue(std::shared_ptr<Job> job) {
  job->phase = Phase::queued;
  job->rank = ++counter_;
  job->group_rank = job->rank;
  if (!job->group.empty()) {
    // Groups are remembered beyond their last job: more of one may come, for the same lane.
    if (groups_.size() > kMostGroups)
      std::erase_if(groups_, [](const auto& group) { return group.second.jobs == 0; });
    Group& group = groups_[job->group];
    if (group.jobs == 0) group.rank = job->rank;
    ++group.jobs;
    job->group_rank = group.rank;
  }
  queue_[place_of(*job)] = std::move(job);
  // All, not one: the job may be for a lane other than that of the thread that would wake up.
  if (bench_.lanes() > 1)
    work_ready_.notify_all();
  else
    work_ready_.notify_one();
}

std::shared_ptr<Desk::Job> Desk::next_job(size_t lane) {
  if (status_.draining) return nullptr;
  for (auto place = queue_.begin(); place != queue_.end(); ++place) {
    const std::shared_ptr<Job> job = place->second;
    if (job->attempts > 0 && job->last_lane == lane && bench_.lanes() > 1) continue;
    if (!job->group.empty()) {
      Group& group = groups_[job->group];
      if (group.lane == SIZE_MAX || job->attempts > 0) group.lane = lane;
      if (group.lane != lane) continue;
    }
    queue_.erase(place);
    return job;
  }
  return nullptr;
}

void Desk::work(size_t lane) {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      work_ready_.wait(lock, [&] { return stopping_ || (job = next_job(lane)); });
      if (stopping_) return;
      job->phase = Phase::compiling;
      ++status_.running;
      ++status_.lanes[lane].busy;
    }
    judge(lane, job);
  }
}

void Desk::judge(size_t lane, const std::shared_ptr<Job>& job) {
  const SteadyTime start = Clock::now();
  const double queue_ms = 1000 * seconds_between(job->queued_at, start);
  Judged judged;
  bool from_store = false;
  Result<std::optional<Judged>> stored = bench_.stored(job->key);
  if (stored.ok() && *stored) {
    judged = **std::move(stored);
    judged.cached = from_store = true;
  } else {
    judged =
        bench_.evaluate(lane, job->key, *job->task, job->source, job->is_answer, [&](Phase phase) {
          Calls calls;
          {
            const std::lock_guard lock(mutex_);
            job->phase = phase;
            announce(*job, calls);
          }
          make(calls);
        });
  }
  judged.times.queue_ms = queue_ms;
  const auto shared = [&] {
    judged.attempts = job->attempts + 1;
    return std::make_shared<const Judged>(judged);
  }();
  if (observer_ && !from_store) observer_->evaluated(*shared);
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    if (--status_.running == 0) idle_.notify_all();
    DeskStatus::Lane& device = status_.lanes[lane];
    --device.busy;
    ++device.done;
    const bool trouble = shared->verdict == Verdict::infra_error;
    suspect_until_[lane] = trouble ? seconds_from_now(kSuspectSeconds) : SteadyTime();
    if (trouble) ++device.trouble;
    ++(from_store ? status_.from_store : status_.evaluated);
    if (!from_store)
      status_.mean_seconds =
          0.9 * status_.mean_seconds + 0.1 * seconds_between(start, Clock::now());
    ++job->attempts;
    job->last_lane = lane;
    if (!job->group.empty()) --groups_[job->group].jobs;
    const bool again = shared->verdict == Verdict::infra_error &&
                       job->attempts < options_.attempts && !job->tickets.empty();
    if (again) {
      enqueue(job);
    } else {
      jobs_.erase(job->key);
      if (shared->policy_evidence()) remember(job->key, shared);
      const std::set<uint64_t> waiting = std::move(job->tickets);
      job->tickets.clear();
      for (const uint64_t number : waiting) finish_ticket(number, shared, calls);
    }
  }
  make(calls);
}

Standing Desk::standing_of(const Job& job) const {
  Standing standing{job.phase, 0, status_.mean_seconds};
  if (job.phase != Phase::queued) return standing;
  const auto place = queue_.find(place_of(job));
  standing.position = 1 + static_cast<size_t>(std::distance(queue_.begin(), place));
  standing.eta_seconds = status_.eta_seconds(standing.position);
  return standing;
}

/// The job's tickets hear of its phase.
void Desk::announce(const Job& job, Calls& calls) {
  std::optional<Standing> standing;
  for (const uint64_t number : job.tickets) {
    const auto found = tickets_.find(number);
    if (found == tickets_.end() || !found->second.on_phase) continue;
    if (!standing) standing = standing_of(job);
    calls.emplace_back([call = found->second.on_phase, now = *standing] { call(now); });
  }
}

void Desk::finish_ticket(uint64_t number, const JudgedPointer& judged, Calls& calls) {
  const auto found = tickets_.find(number);
  if (found == tickets_.end()) return;
  Ticket ticket = std::move(found->second);
  tickets_.erase(found);
  if (ticket.has_timer) timers_.erase(ticket.timer);
  if (const auto live = orders_of_.find(ticket.order.client);
      live != orders_of_.end() && --live->second == 0)
    orders_of_.erase(live);
  calls.emplace_back([this, done = std::move(ticket.done), judged] {
    if (observer_) observer_->answered(*judged);
    done(judged);
  });
}

/// A ticket that will not wait for its job any more.
void Desk::leave_job(const std::string& key, uint64_t number) {
  const auto found = jobs_.find(key);
  if (found == jobs_.end()) return;
  const std::shared_ptr<Job> job = found->second;
  job->tickets.erase(number);
  if (!job->tickets.empty() || job->phase != Phase::queued) return;
  queue_.erase(place_of(*job));
  jobs_.erase(found);
  if (!job->group.empty()) --groups_[job->group].jobs;
}

void Desk::expire(uint64_t number) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    const auto found = tickets_.find(number);
    if (found == tickets_.end()) return;
    ++status_.expired;
    const std::string key = found->second.order.key;
    finish_ticket(number,
                  judged_without_verdict(Verdict::deadline, found->second.order.task->id,
                                         "the deadline passed before there was a verdict"),
                  calls);
    leave_job(key, number);
  }
  make(calls);
}

size_t Desk::cancel_where(const std::function<bool(const Ticket&)>& wanted) {
  Calls calls;
  size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    std::vector<uint64_t> numbers;
    for (const auto& [number, ticket] : tickets_)
      if (wanted(ticket)) numbers.push_back(number);
    for (const uint64_t number : numbers) cancel_ticket(number, calls);
    count = numbers.size();
  }
  make(calls);
  return count;
}

void Desk::cancel_ticket(uint64_t number, Calls& calls) {
  const Order& order = tickets_.at(number).order;
  const std::string key = order.key;
  finish_ticket(number, judged_without_verdict(Verdict::cancelled, order.task->id, "cancelled"),
                calls);
  leave_job(key, number);
}

size_t Desk::cancel(uint64_t number) {
  Calls calls;
  {
    const std::lock_guard lock(mutex_);
    if (!tickets_.contains(number)) return 0;
    cancel_ticket(number, calls);
  }
  make(calls);
  return 1;
}
size_t Desk::cancel_id(const std::string& id) {
  return cancel_where([&](const Ticket& ticket) { return ticket.order.id == id; });
}
size_t Desk::cancel_group(const std::string& group, const std::string& client) {
  return cancel_where([&](const Ticket& ticket) {
    return ticket.order.group == group && ticket.order.client == client;
  });
}

JudgedPointer Desk::remembered(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = finished_.find(key);
  return found == finished_.end() ? nullptr : found->second->second;
}

void Desk::remember(const std::string& key, JudgedPointer judged) {
  if (const auto found = finished_.find(key); found != finished_.end()) {
    found->second->second = std::move(judged);
    return;
  }
  recent_.emplace_front(key, std::move(judged));
  finished_[key] = recent_.begin();
  if (recent_.size() <= options_.remembered) return;
  finished_.erase(recent_.back().first);
  recent_.pop_back();
}

std::optional<Standing> Desk::standing(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(key);
  if (found == jobs_.end()) return std::nullopt;
  return standing_of(*found->second);
}

DeskStatus Desk::status() const {
  const std::lock_guard lock(mutex_);
  DeskStatus status = status_;
  status.queued = queue_.size();
  status.orders = tickets_.size();
  const SteadyTime now = Clock::now();
  for (size_t lane = 0; lane < status.lanes.size(); ++lane)
    status.lanes[lane].healthy = now >= suspect_until_[lane];
  for (const auto& [place, job] : queue_)
    status.oldest_seconds = std::max(status.oldest_seconds, seconds_between(job->queued_at, now));
  for (const auto& [key, job] : jobs_) {
    status.compiling += job->phase == Phase::compiling;
    status.checking += job->phase == Phase::checking;
    status.timing += job->phase == Phase::timing;
  }
  return status;
}

void Desk::after(double seconds, std::function<void()> action) {
  {
    const std::lock_guard lock(mutex_);
    timers_.emplace(seconds_from_now(seconds), Timer{0, std::move(action)});
  }
  timer_ready_.notify_one();
}

void Desk::run_timers() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (timers_.empty()) {
      timer_ready_.wait(lock);
      continue;
    }
    const SteadyTime next = timers_.begin()->first;
    if (Clock::now() < next) {
      timer_ready_.wait_until(lock, next);
      continue;
    }
    auto due = timers_.extract(timers_.begin());
    if (const auto owner = tickets_.find(due.mapped().ticket); owner != tickets_.end())
      owner->second.has_timer = false;
    lock.unlock();
    due.mapped().action();
    lock.lock();
  }
}

}  // namespace assay
