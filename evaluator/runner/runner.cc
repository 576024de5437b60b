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
#include <cmath>

#include "evaluator/runner/messages.h"
#include "evaluator/runner/neighbours.h"
#include "evaluator/runner/timing_messages.h"
#include "tasks/evidence.h"

namespace assay {

using nlohmann::json;

namespace {

/// Launch statistics, notes and what kernels printed.
constexpr size_t kReportBytes = size_t{64} << 20;

/// The most that the answer to a job can take.
size_t reply_limit(const CheckJob& job) {
  uint64_t bytes = 0;
  for (const BoundTensor& tensor : with_evidence(job.bound)) bytes += tensor.bytes();
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
  used_ = false;
  warm_up_spare();
  return {};
}

void Runner::warm_up_spare() {
  if (!options_.warm_spare) return;
  spare_ = std::async(std::launch::async, [device_id = device_id_, options = options_] {
    return RunnerProcess::start(device_id, options);
  });
}

Result<json> Runner::ask(std::vector<const Artifact*> artifacts, json request, Deadline deadline,
                         size_t reply_limit_bytes) {
  RETURN_IF_ERROR(ensure_process());
  const auto exchange = [&]() -> Result<json> {
    for (int pass = 0; pass < 2; ++pass)  // a second time for those that others pushed out
      for (const Artifact* artifact : artifacts)
        if (artifact) RETURN_IF_ERROR(process_->hold(*artifact, deadline));
    used_ = true;
    return process_->exchange(request, deadline, reply_limit_bytes);
  };
  Result<json> reply = exchange();
  if (!reply.ok()) {
    if (reply.error().kind != ErrorKind::invalid) process_.reset();
    return reply;
  }
  if (!reply->contains("healthy") || reply->at("healthy") != true) process_.reset();
  if (const auto error = error_in(*reply)) return *error;
  return reply;
}

/// An answer that cannot be: its process is not to be trusted with another job.
Error Runner::nonsense(const Error& error) {
  process_.reset();
  return {ErrorKind::device, error.message + "; its process was killed"};
}

Result<CheckReport> Runner::check(const CheckJob& job) {
  json request = job_message(job);
  request["type"] = "check";
  const int runs = (job.repeats + 1) * (job.bound.evidence.empty() ? 1 : 2);
  const Deadline deadline =
      deadline_in(runs * job.run.deadline_seconds + options_.overhead_seconds);
  ASSIGN_OR_RETURN(const json reply, ask({job.reference, job.candidate, job.evidence.artifact},
                                         std::move(request), deadline, reply_limit(job)));
  Result<CheckReport> report = parse_report(reply.value("report", json()));
  const Result<void> fits = report.ok() ? plausible(*report, job) : report.error();
  if (!fits.ok()) return nonsense(fits.error());
  return report;
}

Result<std::optional<double>> Runner::cost(const CheckJob& job) {
  json request = job_message(job);
  request["type"] = "cost";
  const Deadline deadline =
      deadline_in(job.repeats * job.run.deadline_seconds + options_.overhead_seconds);
  ASSIGN_OR_RETURN(const json reply,
                   ask({job.candidate}, std::move(request), deadline, kReportBytes));
  const json cost = reply.value("cost", json());
  if (cost.is_null()) return std::optional<double>();
  if (!cost.is_number() || !std::isfinite(cost.get<double>()) || cost.get<double>() < 0)
    return nonsense({ErrorKind::invalid, "the runner's cost of a run is no number"});
  return std::optional<double>(cost.get<double>());
}

Result<TimingReport> Runner::time(const TimeJob& job, bool fresh) {
  if (fresh && used_) process_.reset();
  RETURN_IF_ERROR(ensure_process());
  // A spare that is still making its context would disturb the measurement.
  if (spare_.valid()) spare_.wait();
  json request = time_job_message(job);
  request["type"] = "time";
  const Deadline deadline = deadline_in(30 * job.budget.cap_seconds + options_.overhead_seconds);
  ASSIGN_OR_RETURN(const json reply, ask({job.baseline, job.candidate, job.evidence.artifact},
                                         std::move(request), deadline, kReportBytes));
  Result<TimingReport> report = parse_timing(reply.value("timing", json()));
  if (!report.ok()) return nonsense(report.error());
  report->neighbours = describe(neighbours(info_.uuid));
  return report;
}

Result<DeviceProfile> Runner::calibrate() {
  ASSIGN_OR_RETURN(const json reply, ask({}, json{{"type", "calibrate"}},
                                         deadline_in(options_.overhead_seconds), kReportBytes));
  Result<DeviceProfile> profile = parse_profile(reply.value("profile", json()));
  if (!profile.ok()) return nonsense(profile.error());
  return profile;
}

Result<void> RunnerPool::add(const std::string& device_id, const RunnerOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Runner> runner, Runner::start(device_id, options));
  if (!idle_.empty() && runner->info().name != idle_.front()->info().name)
    return Error{ErrorKind::usage,
                 fmt::format("{} is a {} and {} a {}: evaluate on GPUs of one kind at a time",
                             idle_.front()->info().id, idle_.front()->info().name, device_id,
                             runner->info().name)};
  idle_.push_back(std::move(runner));
  return {};
}

Result<std::unique_ptr<RunnerPool>> RunnerPool::create(const std::string& devices, int count,
                                                       const RunnerOptions& options) {
  std::unique_ptr<RunnerPool> pool(new RunnerPool);
  if (devices == "cuda") {
    for (int ordinal = 0;; ++ordinal) {
      const Result<void> added = pool->add(fmt::format("cuda:{}", ordinal), options);
      if (!added.ok() && ordinal > 0 && added.error().kind == ErrorKind::not_found) break;
      RETURN_IF_ERROR(added);
    }
  } else {
    for (size_t begin = 0; begin <= devices.size();) {
      const size_t comma = std::min(devices.find(',', begin), devices.size());
      const std::string device = devices.substr(begin, comma - begin);
      for (int i = 0; i < (device.starts_with("cuda") ? 1 : std::max(1, count)); ++i)
        RETURN_IF_ERROR(pool->add(device, options));
      begin = comma + 1;
    }
  }
  pool->info_ = pool->idle_.front()->info();
  pool->size_ = pool->idle_.size();
  return pool;
}

template <typename Work>
auto RunnerPool::with_runner(const Work& work) {
  std::unique_ptr<Runner> runner = acquire();
  auto result = work(*runner);
  release(std::move(runner));
  return result;
}

Result<CheckReport> RunnerPool::check(const CheckJob& job) {
  return with_runner([&](Runner& runner) { return runner.check(job); });
}

Result<std::optional<double>> RunnerPool::cost(const CheckJob& job) {
  return with_runner([&](Runner& runner) { return runner.cost(job); });
}

Result<TimingReport> RunnerPool::time(const TimeJob& job, bool fresh) {
  return with_runner([&](Runner& runner) { return runner.time(job, fresh); });
}

Result<DeviceProfile> RunnerPool::calibrate() {
  return with_runner([&](Runner& runner) { return runner.calibrate(); });
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
