// The desk: takes orders for evaluations and sees to it that each distinct one is done once.
// desk.cc opens with the theory of operation.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "server/bench.h"
#include "server/judged.h"

namespace assay {

enum class Priority { high, normal, low };
std::optional<Priority> priority_from_name(std::string_view name);

using SteadyTime = std::chrono::steady_clock::time_point;
SteadyTime seconds_from_now(double seconds);

/// What one client wants to know.
struct Order {
  const Task* task = nullptr;
  std::string key;     // Bench::key() of the fields below
  std::string source;  // code, or with `is_answer` a text without usable code
  bool is_answer = false;
  Priority priority = Priority::normal;
  std::optional<SteadyTime> deadline;
  std::string group;    // timed on one lane, one after the other
  std::string client;   // its token's name, for quotas
  std::string id;       // what it is called outside; several orders may share one
  bool parked = false;  // its client cannot handle a refusal: never refused
};

/// Why an order was not taken.
struct Refusal {
  int status = 503;  // 429: this client's quota; 503: everybody's queue
  std::string message;
  double retry_after_seconds = 1;
};

struct DeskOptions {
  size_t queue_limit = 4096;   // distinct evaluations waiting; parked orders are beyond it
  size_t client_quota = 4096;  // live orders of one client; parked orders count, but pass
  size_t remembered = 16'384;  // finished verdicts kept in memory
  int attempts = 2;            // evaluations of one candidate before trouble is told
};

struct DeskStatus {
  struct Lane {
    std::string name;
    size_t busy = 0;
    size_t workers = 0;
    uint64_t done = 0;
    uint64_t trouble = 0;
    bool healthy = true;  // its last evaluation was not trouble, or that was a while ago
  };
  std::vector<Lane> lanes;
  size_t queued = 0;
  size_t running = 0;
  size_t compiling = 0, checking = 0, timing = 0;  // of those running, by pool
  size_t orders = 0;                               // live
  double oldest_seconds = 0;                       // the longest wait in the queue
  double mean_seconds = 0;                         // of an evaluation, recently
  uint64_t evaluated = 0;                          // by this process
  uint64_t from_store = 0;                         // found in the store
  uint64_t from_memory = 0;                        // answered at once
  uint64_t joined = 0;                             // attached to a running evaluation
  uint64_t expired = 0;                            // deadlines passed
  bool draining = false;                           // starts nothing any more
  double eta_seconds(size_t position) const;
};

/// What is known about an order or a key.
struct Standing {
  Phase phase = Phase::queued;
  size_t position = 0;  // in the queue, from 1; 0: not in it
  double eta_seconds = 0;
};

/// For metrics; called outside locks.
struct DeskObserver {
  virtual ~DeskObserver() = default;
  virtual void evaluated(const Judged&) {}
  virtual void answered(const Judged&) {}
};

class Desk {
 public:
  using Done = std::function<void(JudgedPointer)>;
  using OnPhase = std::function<void(const Standing&)>;

  Desk(Bench& bench, DeskOptions options, DeskObserver* observer = nullptr);
  /// Running evaluations are finished, queued ones dropped without an answer.
  ~Desk();

  /// A number for cancel(). `done` is called exactly once, on any thread, possibly before this
  /// returns; `on_phase` any number of times before it.
  struct Placed {
    uint64_t ticket = 0;
    std::optional<Refusal> refusal;
  };
  Placed place(Order order, Done done, OnPhase on_phase = {});

  /// What place() would say to a new, not parked order of this client now.
  std::optional<Refusal> would_refuse(const std::string& client) const;

  /// Ends live orders with Verdict::cancelled; how many. An evaluation that nobody waits for any
  /// more leaves the queue; one that runs is finished and kept.
  size_t cancel(uint64_t ticket);
  size_t cancel_id(const std::string& id);
  size_t cancel_group(const std::string& group, const std::string& client);

  /// A finished verdict in memory.
  JudgedPointer remembered(const std::string& key);
  /// Of an evaluation that is waiting or running.
  std::optional<Standing> standing(const std::string& key) const;
  DeskStatus status() const;

  /// Calls `action` later, on the desk's timer thread.
  void after(double seconds, std::function<void()> action);

  /// Starts nothing any more and refuses new orders; returns when what runs is finished, after
  /// `seconds` at most. What waits gets no answer: clients repeat it to the next process.
  void drain(double seconds);

  const Bench& bench() const { return bench_; }

 private:
  struct Timer {
    uint64_t ticket = 0;  // whose deadline it is; 0: none's
    std::function<void()> action;
  };
  struct Ticket {
    uint64_t number = 0;
    Order order;
    Done done;
    OnPhase on_phase;
    std::multimap<SteadyTime, Timer>::iterator timer;
    bool has_timer = false;  // `timer` is in timers_
  };
  struct Job {
    std::string key;
    const Task* task = nullptr;
    std::string source;
    bool is_answer = false;
    std::string group;
    Priority priority = Priority::normal;
    uint64_t group_rank = 0, rank = 0;  // with priority: the order in the queue
    Phase phase = Phase::queued;
    SteadyTime queued_at;
    int attempts = 0;
    size_t last_lane = SIZE_MAX;
    std::set<uint64_t> tickets;
  };
  using Place = std::tuple<Priority, uint64_t, uint64_t>;
  static Place place_of(const Job& job) { return {job.priority, job.group_rank, job.rank}; }

  using Calls = std::vector<std::function<void()>>;  // made after the lock is given up

  std::optional<Refusal> refuse(const Order& order, bool new_job) const;
  void enqueue(std::shared_ptr<Job> job);
  std::shared_ptr<Job> next_job(size_t lane);
  void finish_ticket(uint64_t number, const JudgedPointer& judged, Calls& calls);
  void leave_job(const std::string& key, uint64_t number);
  void expire(uint64_t number);
  void remember(const std::string& key, JudgedPointer judged);
  Standing standing_of(const Job& job) const;
  void announce(const Job& job, Calls& calls);
  size_t cancel_where(const std::function<bool(const Ticket&)>& wanted);
  void cancel_ticket(uint64_t number, Calls& calls);
  void work(size_t lane);
  void judge(size_t lane, const std::shared_ptr<Job>& job);
  void run_timers();

  Bench& bench_;
  const DeskOptions options_;
  DeskObserver* observer_;
  mutable std::mutex mutex_;
  std::condition_variable work_ready_;
  std::condition_variable timer_ready_;
  std::condition_variable idle_;  // nothing runs
  bool stopping_ = false;
  uint64_t counter_ = 0;
  std::unordered_map<uint64_t, Ticket> tickets_;
  std::unordered_map<std::string, std::shared_ptr<Job>> jobs_;  // waiting and running, by key
  std::map<Place, std::shared_ptr<Job>> queue_;
  struct Group {
    uint64_t rank = 0;
    size_t lane = SIZE_MAX;  // none yet
    size_t jobs = 0;
  };
  std::map<std::string, Group> groups_;  // of jobs in hand, and earlier ones
  std::map<std::string, size_t> orders_of_;
  std::list<std::pair<std::string, JudgedPointer>> recent_;  // newest first
  std::unordered_map<std::string, decltype(recent_)::iterator> finished_;
  std::multimap<SteadyTime, Timer> timers_;
  DeskStatus status_;
  std::vector<SteadyTime> suspect_until_;  // of each lane
  std::vector<std::thread> threads_;
};

}  // namespace assay
