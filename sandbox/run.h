// Run: one sandboxed program seen from the supervisor, from clone to the last trace of it.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "sandbox/capture.h"
#include "sandbox/cgroup.h"
#include "sandbox/descriptor.h"
#include "sandbox/host.h"
#include "sandbox/launch.h"
#include "sandbox/messages.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

class Run {
 public:
  /// Clones the child. `self_test` runs the built-in test instead of the program.
  static Result<std::unique_ptr<Run>> launch(const Command& command, const Limits& limits,
                                             Policy policy, const Means& means,
                                             bool self_test = false);
  ~Run();

  /// Blocks until the program has started (its execve succeeded), or says which step failed.
  Result<void> await_start();
  /// Blocks until nothing of it is left. Once, after await_start().
  Outcome supervise();
  /// Makes supervise() end the run now. From any thread.
  void request_end();
  int pid() const { return pid_; }

 private:
  using Clock = std::chrono::steady_clock;

  /// Why the supervisor killed the run.
  enum class Cause { none, wall, cpu, output, disk, memory, request };

  /// From SIGKILL to the end; a driver may hold a process longer.
  static constexpr std::chrono::seconds kTeardownTime{30};
  /// A program that prints this many times what is kept is ended.
  static constexpr size_t kDrainFactor = 64;

  explicit Run(const Limits& limits)
      : limits_(limits), streams_{Stream(limits.output_bytes), Stream(limits.output_bytes)} {}

  struct Stream {
    explicit Stream(size_t limit_bytes) : capture(limit_bytes) {}
    Descriptor pipe;
    Capture capture;
  };

  Result<void> open_channels(const Command& command, Launch& launch);
  Result<void> clone_child(Launch& launch);
  void take_messages();
  void take_file(const Message& message, const Descriptor& file);
  void read_stream(Stream& stream);
  /// Waits for the next event, at most until the next deadline, and deals with it.
  void step();
  std::chrono::milliseconds until_deadline(Clock::time_point now);
  void check_deadlines(Clock::time_point now);
  /// Memory and processor time where no group limits them; processor time where one counts it; the
  /// work folder where it is no tmpfs.
  void check_usage(Clock::time_point now);
  /// Whether something is limited only by looking at it often.
  bool polls() const { return polls_memory_ || launch_.work_folder; }
  void end(Cause cause);
  bool gone() const { return gone_; }
  /// After init is dead: what is left in pipes, exit status, groups.
  void finish();
  Error setup_error(const Message& failure) const;
  Outcome outcome();
  void classify(Outcome& outcome) const;
  void classify_status(Outcome& outcome) const;

  Limits limits_;
  Launch launch_;
  std::optional<Cgroup> group_;
  std::array<Stream, 2> streams_;
  Descriptor control_;
  Descriptor pidfd_;
  Descriptor end_request_;
  int pid_ = -1;
  Clock::time_point began_;
  Clock::time_point killed_;
  Clock::time_point next_usage_check_;
  bool polls_memory_ = false;  // no group limits it
  int program_group_ = 0;      // without namespaces: all of the program's processes
  bool awaits_init_ = false;   // that killed group is still to be buried by init
  Cause cause_ = Cause::none;
  bool stuck_ = false;  // did not die within the time for that
  bool gone_ = false;
  bool started_ = false;
  std::optional<Message> failed_;
  std::optional<Message> violation_;
  std::optional<Message> ended_;
  std::map<std::string, std::string> outputs_;
  size_t outputs_bytes_ = 0;
  std::optional<std::chrono::microseconds> cpu_;
  size_t peak_bytes_ = 0;
  bool out_of_memory_ = false;
  bool out_of_processes_ = false;
};

}  // namespace assay::sandbox
