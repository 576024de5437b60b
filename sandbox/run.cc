#include "sandbox/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include "sandbox/child.h"
#include "sandbox/process_tree.h"

namespace assay::sandbox {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kSetupTime{20};         // for the child's way to execve
constexpr milliseconds kOrphanTime{200};  // for a killed group to be gone
constexpr seconds kReapTime{2};  // for init to bury a process group, before it is killed itself
constexpr milliseconds kUsagePeriod{20};
constexpr size_t kDrainFloor = size_t{1} << 20;

Error system_error(std::string_view what) {
  return Error{ErrorKind::sandbox, fmt::format("{}: {}", what, strerror(errno))};
}

/// All signals blocked for this thread while it exists, so that no handler of the supervisor runs
/// in a child between clone and execve.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

Result<Descriptor> open_stdin(const std::string& content) {
  if (content.empty()) {
    Descriptor null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null) return system_error("cannot open /dev/null");
    return null;
  }
  Descriptor file(memfd_create("assay-stdin", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  size_t written = 0;
  while (file && written < content.size()) {
    const ssize_t count = write(file.get(), content.data() + written, content.size() - written);
    if (count <= 0) return system_error("cannot prepare the standard input");
    written += static_cast<size_t>(count);
  }
  if (!file || lseek(file.get(), 0, SEEK_SET) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return system_error("cannot prepare the standard input");
  return file;
}

/// A pipe whose reading end does not block.
Result<std::pair<Descriptor, Descriptor>> open_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe");
  std::pair<Descriptor, Descriptor> pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  fcntl(pipe.first.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

/// Kills a process group that nobody buries and waits until it is gone, but no longer than killed
/// processes take: a zombie whose new parent does not look stays a member.
void end_orphans(pid_t group) {
  const auto latest = std::chrono::steady_clock::now() + kOrphanTime;
  while (::kill(-group, SIGKILL) == 0 && std::chrono::steady_clock::now() < latest)
    std::this_thread::sleep_for(milliseconds(1));
}

/// clone3, or clone where a container's own filter hides clone3. Returns twice; -1 with errno. The
/// child has no exit signal: the program we are a library of never hears of it.
pid_t clone_process(uint64_t flags, int* pidfd, int cgroup) {
  clone_args arguments = {};
  arguments.flags = flags | CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<uintptr_t>(pidfd);
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(cgroup);
  }
  const long process = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (process >= 0 || errno != ENOSYS || cgroup >= 0) return static_cast<pid_t>(process);
  return static_cast<pid_t>(
      syscall(SYS_clone, flags | CLONE_PIDFD, nullptr, pidfd, nullptr, nullptr));
}

bool kill_process(int pidfd) {
  return syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0) == 0;
}

milliseconds ceiling(std::chrono::nanoseconds time) {
  return std::chrono::ceil<milliseconds>(std::max(time, std::chrono::nanoseconds(0)));
}

}  // namespace

Result<std::unique_ptr<Run>> Run::launch(const Command& command, const Limits& limits,
                                         Policy policy, const Means& means, bool self_test) {
  std::unique_ptr<Run> run(new Run(limits));
  ASSIGN_OR_RETURN(run->launch_, prepare_launch(command, limits, policy, means));
  run->launch_.self_test = self_test;
  ASSIGN_OR_RETURN(Cgroup group, Cgroup::create(means.cgroups, limits));
  run->group_.emplace(std::move(group));
  RETURN_IF_ERROR(run->open_channels(command, run->launch_));
  return run;
}

Result<void> Run::open_channels(const Command& command, Launch& launch) {
  ASSIGN_OR_RETURN(const Descriptor standard_input, open_stdin(command.stdin_content));
  ASSIGN_OR_RETURN(auto standard_output, open_pipe());
  ASSIGN_OR_RETURN(auto standard_error, open_pipe());
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("cannot make a socket pair");
  control_ = Descriptor(ends[0]);
  const Descriptor control(ends[1]);
  end_request_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));

  launch.control = control.get();
  launch.standard_input = standard_input.get();
  launch.standard_output = standard_output.second.get();
  launch.standard_error = standard_error.second.get();
  launch.cgroup_entries = group_->entries();
  launch.keep = {launch.control, launch.standard_input, launch.standard_output,
                 launch.standard_error};
  launch.keep.insert(launch.keep.end(), launch.descriptors.begin(), launch.descriptors.end());
  launch.keep.insert(launch.keep.end(), launch.cgroup_entries.begin(), launch.cgroup_entries.end());
  for (const Descriptor& map : launch.owner_maps) launch.keep.push_back(map.get());
  std::sort(launch.keep.begin(), launch.keep.end());
  launch.keep.erase(std::unique(launch.keep.begin(), launch.keep.end()), launch.keep.end());
  streams_[0].pipe = std::move(standard_output.first);
  streams_[1].pipe = std::move(standard_error.first);
  return clone_child(launch);
}

Result<void> Run::clone_child(Launch& launch) {
  uint64_t flags = 0;
  if (launch.namespaces)
    flags =
        CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET;
  if (launch.user_namespace) flags |= CLONE_NEWUSER;
  int pidfd = -1;
  {
    const SignalsBlocked blocked;
    pid_ = clone_process(flags, &pidfd, group_->folder());
    if (pid_ == 0) child_main(launch);
  }
  began_ = Clock::now();
  next_usage_check_ = began_ + kUsagePeriod;
  polls_memory_ = !group_->limits_memory();
  if (pid_ < 0) {
    gone_ = true;
    return system_error(launch.namespaces ? "cannot clone a process with namespaces of its own"
                                          : "cannot clone a process");
  }
  pidfd_ = Descriptor(pidfd);
  return {};
}

Run::~Run() {
  if (pid_ <= 0) return;
  if (!gone_) {
    end(Cause::request);
    while (!gone_) step();
  }
}

void Run::request_end() {
  const uint64_t one = 1;
  if (write(end_request_.get(), &one, sizeof(one)) < 0) return;  // already requested
}

Result<void> Run::await_start() {
  while (!started_ && !failed_ && !gone_) step();
  if (failed_) {
    while (!gone_) step();
    return setup_error(*failed_);
  }
  if (!started_ && cause_ == Cause::none && !out_of_memory_)
    return Error{ErrorKind::sandbox, "the sandbox's init ended before the program started"};
  return {};
}

Outcome Run::supervise() {
  while (!gone_) step();
  return outcome();
}

void Run::step() {
  const Clock::time_point now = Clock::now();
  pollfd events[] = {{pidfd_.get(), POLLIN, 0},
                     {control_.get(), POLLIN, 0},
                     {streams_[0].pipe.get(), POLLIN, 0},
                     {streams_[1].pipe.get(), POLLIN, 0},
                     {cause_ == Cause::none ? end_request_.get() : -1, POLLIN, 0},
                     {cause_ == Cause::none ? group_->memory_event() : -1, POLLIN, 0}};
  const int ready = poll(events, 6, static_cast<int>(until_deadline(now).count()));
  if (ready > 0) {
    if (events[1].revents != 0) take_messages();
    for (size_t i = 0; i < streams_.size(); ++i)
      if (events[2 + i].revents != 0) read_stream(streams_[i]);
    if (events[4].revents != 0) end(Cause::request);
    if (events[5].revents != 0) end(Cause::memory);
    if (events[0].revents != 0) finish();
  }
  if (!gone_) check_deadlines(Clock::now());
}

milliseconds Run::until_deadline(Clock::time_point now) {
  if (cause_ != Cause::none)
    return ceiling(killed_ + (awaits_init_ ? kReapTime : kTeardownTime) - now);
  Clock::time_point next = now + std::chrono::hours(24);
  if (!started_) next = std::min(next, began_ + kSetupTime);
  if (limits_.wall.count() > 0) next = std::min(next, began_ + limits_.wall);
  if (limits_.cpu.count() > 0 || polls()) next = std::min(next, next_usage_check_);
  return ceiling(next - now);
}

void Run::check_deadlines(Clock::time_point now) {
  if (cause_ != Cause::none) {
    if (awaits_init_ && now >= killed_ + kReapTime) {
      awaits_init_ = false;
      kill_process(pidfd_.get());
    }
    if (now < killed_ + kTeardownTime) return;
    stuck_ = true;
    finish();
    return;
  }
  if (!started_ && now >= began_ + kSetupTime) return end(Cause::wall);
  if (limits_.wall.count() > 0 && now >= began_ + limits_.wall) return end(Cause::wall);
  if ((limits_.cpu.count() > 0 || polls()) && now >= next_usage_check_) check_usage(now);
}

void Run::check_usage(Clock::time_point now) {
  std::optional<microseconds> used = group_->cpu();
  if (polls_memory_ || !used) {
    const TreeUsage tree = measure_tree(pid_);
    peak_bytes_ = std::max(peak_bytes_, tree.memory_bytes);
    if (!used) cpu_ = used = tree.cpu;
  }
  if (polls_memory_ && peak_bytes_ > limits_.memory_bytes) return end(Cause::memory);
  if (limits_.cpu.count() > 0 && *used >= limits_.cpu) return end(Cause::cpu);
  if (launch_.work_folder && launch_.work_folder.exceeds(limits_.work_bytes, kWorkInodes))
    return end(Cause::disk);
  // A look may take a while, too: it shall not be all that the supervisor does.
  next_usage_check_ = now + std::max<Clock::duration>(kUsagePeriod, 10 * (Clock::now() - now));
  if (polls()) return;
  // No sooner can the limit be reached, with all processors busy.
  const auto left = (limits_.cpu - *used) / std::max(1u, std::thread::hardware_concurrency());
  next_usage_check_ = std::max(next_usage_check_, now + left);
}

void Run::end(Cause cause) {
  if (cause_ != Cause::none || gone_) return;
  cause_ = cause;
  killed_ = Clock::now();
  if (program_group_ > 0) {
    // Init buries them and goes.
    awaits_init_ = true;
    ::kill(-program_group_, SIGKILL);
    return;
  }
  // Init's death ends its process namespace; the group only makes it faster.
  kill_process(pidfd_.get());
  group_->kill();
}

void Run::take_messages() {
  for (;;) {
    Message message;
    Descriptor file;
    if (!receive_message(control_.get(), message, file)) {
      char end_of_file = 0;
      if (recv(control_.get(), &end_of_file, 1, MSG_DONTWAIT | MSG_PEEK) == 0) control_.reset();
      return;
    }
    switch (message.kind) {
      case Message::Kind::failed:
        failed_ = failed_.value_or(message);
        break;
      case Message::Kind::filter:
        break;  // never sent here
      case Message::Kind::group:
        program_group_ = message.number;
        break;
      case Message::Kind::started:
        started_ = true;
        break;
      case Message::Kind::violation:
        violation_ = violation_.value_or(message);
        break;
      case Message::Kind::file:
        take_file(message, file);
        break;
      case Message::Kind::ended:
        ended_ = message;
        break;
    }
  }
}

void Run::take_file(const Message& message, const Descriptor& file) {
  struct stat status = {};
  const size_t index = static_cast<size_t>(message.index);
  if (!file || index >= launch_.outputs.size() || fstat(file.get(), &status) != 0 ||
      !S_ISREG(status.st_mode))
    return;
  const size_t bytes = static_cast<size_t>(status.st_size);
  if (bytes > limits_.file_bytes || bytes > limits_.work_bytes - outputs_bytes_) return;
  std::string content(bytes, '\0');
  size_t have = 0;
  while (have < bytes) {
    const ssize_t count =
        pread(file.get(), content.data() + have, bytes - have, static_cast<off_t>(have));
    if (count <= 0) return;
    have += static_cast<size_t>(count);
  }
  outputs_bytes_ += bytes;
  outputs_[launch_.outputs[index]] = std::move(content);
}

void Run::read_stream(Stream& stream) {
  const size_t most = std::max(kDrainFloor, limits_.output_bytes * kDrainFactor);
  char buffer[65536];
  // Bounded, so that a program that prints without end cannot keep us here.
  for (int round = 0; round < 16; ++round) {
    const ssize_t count = read(stream.pipe.get(), buffer, sizeof(buffer));
    if (count < 0) return;
    if (count == 0) {
      stream.pipe.reset();
      return;
    }
    stream.capture.add({buffer, static_cast<size_t>(count)});
    if (stream.capture.seen_bytes() > most) return end(Cause::output);
  }
}

void Run::finish() {
  gone_ = true;
  if (control_) take_messages();
  // Init ends the group before it reports. Did it die instead?
  if (program_group_ > 0 && !ended_) end_orphans(program_group_);
  for (Stream& stream : streams_) {
    if (stream.pipe) read_stream(stream);
    stream.pipe.reset();
  }
  if (const std::optional<microseconds> counted = group_->cpu()) cpu_ = counted;
  peak_bytes_ = std::max(peak_bytes_, group_->peak_memory_bytes());
  out_of_memory_ = cause_ == Cause::memory || group_->out_of_memory();
  out_of_processes_ = group_->out_of_processes();
  if (ended_) {  // as init saw it; groups count more
    cpu_ = std::max(cpu_.value_or(microseconds(0)), microseconds(ended_->cpu_us));
    peak_bytes_ = std::max(peak_bytes_, static_cast<size_t>(ended_->peak_bytes));
  }
  siginfo_t info = {};
  // A process that cannot die stays a child of ours; waiting for it would block.
  waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info,
         WEXITED | __WALL | (stuck_ ? WNOHANG : 0));
  group_.reset();
  launch_.work_folder = {};
}

Error Run::setup_error(const Message& failure) const {
  std::string what(describe(failure.stage));
  const size_t index = static_cast<size_t>(failure.index);
  const bool of_view = failure.stage == Stage::source || failure.stage == Stage::owner ||
                       failure.stage == Stage::step || failure.stage == Stage::landlock;
  if (of_view && index < launch_.view.size()) {
    const Step& step = launch_.view[index];
    const bool outside = failure.stage == Stage::source || failure.stage == Stage::owner;
    what += " " + (outside ? step.source : "/" + step.path);
  } else if (failure.stage == Stage::resource_limits) {
    what += fmt::format(" number {}", failure.index);
  } else if (failure.stage == Stage::execute) {
    what += " " + launch_.strings[0];
  } else if (failure.stage == Stage::input) {
    what += fmt::format(" number {}", failure.index + 1);
  }
  return Error{ErrorKind::sandbox, fmt::format("setting up the sandbox failed at {}: {}", what,
                                               strerror(failure.error))};
}

}  // namespace assay::sandbox
