// Theory of operation
//
// A device lives in a process of its own, assay-runner, started in the sandbox and spoken to over
// one end of a socket pair: one request, one reply (messages.h), in frames of CBOR (frame.h). The
// process executes candidates' device code (on the virtual device with our own interpreter, on a
// GPU through the driver), so it may die, hang, or be left with a broken context; the coordinator
// must survive all of that, and whatever the process sends. So
//
//   - every wait has a deadline: that of the job's runs, and a fixed time for the rest;
//   - what arrives is parsed with bounds and compared with the job that it answers;
//   - a process (process.h) that died, was silent, talked nonsense or says that its device is not
//     healthy any more is killed, never talked to again, and replaced before the next job: by a
//     spare that was started in the background, where the options ask for one.
//
// A job is not repeated on the new process: who asked knows better whether it should be.
//
// Artifacts are sent once and then named by key; both sides forget the oldest beyond a fixed
// number.
#include "evaluator/runner/runner.h"

#include <fmt/format.h>

#include <algorithm>

#include "evaluator/runner/messages.h"

namespace assay {

using nlohmann::json;

namespace {

/// Launch statistics, notes and what kernels printed.
constexpr size_t kReportBytes = size_t{64} << 20;

/// The most that the answer to a job can take.
size_t reply_limit(const CheckJob& job) {
  uint64_t bytes = 0;
  for (const BoundTensor& tensor : job.bound.tensors) bytes += tensor.bytes();
  const uint64_t copies = (job.want_outputs ? 1 : 0) + (job.want_expected ? 2 : 0);
  const uint64_t room = kMaxFrameBytes - kReportBytes;
  return kReportBytes + (copies == 0 ? 0 : std::min(bytes, room / copies) * copies);
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::start(const std::string& device_id,
                                              const RunnerOptions& options) {
  std::unique_ptr<Runner> runner(new Runner(device_id, options));
  RETURN_IF_ERROR(runner->ensure_process());
  return runner;
}

Runner::~Runner() = default;

bool Runner::alive() const { return process_ && process_->idle(); }

int Runner::pid() const { return process_ ? process_->pid() : -1; }

Result<void> Runner::ensure_process() {
  if (alive()) return {};
  process_.reset();
  if (spare_.valid()) {
    Started spare = spare_.get();
    if (spare.ok() && (*spare)->idle()) process_ = *std::move(spare);
  }
  if (!process_) {
    ASSIGN_OR_RETURN(process_, RunnerProcess::start(device_id_, options_));
  }
  info_ = process_->info();
  warm_up_spare();
  return {};
}

void Runner::warm_up_spare() {
  if (!options_.warm_spare) return;
  spare_ = std::async(std::launch::async, [device_id = device_id_, options = options_] {
    return RunnerProcess::start(device_id, options);
  });
}

/// The exchange of a job, without reading the reply.
Result<json> Runner::exchange(const CheckJob& job) {
  const Deadline deadline =
      deadline_in((job.repeats + 1) * job.run.deadline_seconds + options_.overhead_seconds);
  RETURN_IF_ERROR(process_->hold(*job.reference, deadline));
  RETURN_IF_ERROR(process_->hold(*job.candidate, deadline));
  RETURN_IF_ERROR(process_->hold(*job.reference, deadline));  // if the candidate's pushed it out
  json request = job_message(job);
  request["type"] = "check";
  return process_->exchange(request, deadline, reply_limit(job));
}

Result<CheckReport> Runner::check(const CheckJob& job) {
  RETURN_IF_ERROR(ensure_process());
  const Result<json> reply = exchange(job);
  if (!reply.ok()) {
    if (reply.error().kind != ErrorKind::invalid) process_.reset();
    return reply.error();
  }
  if (!reply->contains("healthy") || reply->at("healthy") != true) process_.reset();
  if (const auto error = error_in(*reply)) return *error;
  Result<CheckReport> report =
      parse_report(reply->contains("report") ? reply->at("report") : json());
  const Result<void> fits = report.ok() ? plausible(*report, job) : report.error();
  if (!fits.ok()) {
    process_.reset();
    return Error{ErrorKind::device, fits.error().message + "; its process was killed"};
  }
  return report;
}

Result<std::unique_ptr<RunnerPool>> RunnerPool::create(const std::string& device_id, int count,
                                                       const RunnerOptions& options) {
  std::unique_ptr<RunnerPool> pool(new RunnerPool);
  for (int i = 0; i < std::max(1, count); ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Runner> runner, Runner::start(device_id, options));
    pool->idle_.push_back(std::move(runner));
  }
  pool->info_ = pool->idle_.front()->info();
  return pool;
}

Result<CheckReport> RunnerPool::check(const CheckJob& job) {
  std::unique_ptr<Runner> runner = acquire();
  Result<CheckReport> report = runner->check(job);
  release(std::move(runner));
  return report;
}

std::unique_ptr<Runner> RunnerPool::acquire() {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [&] { return !idle_.empty(); });
  std::unique_ptr<Runner> runner = std::move(idle_.back());
  idle_.pop_back();
  return runner;
}

void RunnerPool::release(std::unique_ptr<Runner> runner) {
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(runner));
  }
  freed_.notify_one();
}

}  // namespace assay
