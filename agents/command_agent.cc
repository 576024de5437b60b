#include "agents/command_agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>

#include "agents/http/json.h"
#include "agents/prompt.h"

extern char** environ;

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

ApiFailure failure_of(FailureClass failure, std::string code, std::string message) {
  ApiFailure result;
  result.failure = failure;
  result.code = std::move(code);
  result.message = std::move(message);
  return result;
}

std::string json_turn(const GenerationRequest& request) {
  nlohmann::json messages = nlohmann::json::array();
  for (const Message& message : request.messages)
    messages.push_back({{"role", message.speaker == Speaker::user ? "user" : "assistant"},
                        {"content", message.text}});
  return json_text({{"version", 1},
                    {"task", request.task->id},
                    {"language", name(request.language)},
                    {"sample", request.sample},
                    {"turn", request.turn},
                    {"system", request.system},
                    {"messages", messages}});
}

/// Process groups of programs that run now, 0 where a place is free. Signal handlers read it.
std::array<std::atomic<pid_t>, 1024> running_groups{};

/// Marks a process group as running; nullptr where there is no place left.
std::atomic<pid_t>* mark_running(pid_t group) {
  for (std::atomic<pid_t>& place : running_groups) {
    pid_t free = 0;
    if (place.compare_exchange_strong(free, group)) return &place;
  }
  return nullptr;
}

/// Three pipes to a child in a process group of its own.
class Child {
 public:
  Child(const std::string& command, const GenerationRequest& request) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0) return;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return;
    input = in[1];
    output = out[0];
    error = err[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setpgroup(&attributes, 0);
    std::vector<std::string> variables = {
        "ASSAY_TASK=" + request.task->id, fmt::format("ASSAY_LANGUAGE={}", name(request.language)),
        fmt::format("ASSAY_SAMPLE={}", request.sample), fmt::format("ASSAY_TURN={}", request.turn)};
    std::vector<char*> environment;
    for (std::string& variable : variables) environment.push_back(variable.data());
    for (char** variable = environ; *variable; ++variable) environment.push_back(*variable);
    environment.push_back(nullptr);
    std::string shell = "/bin/sh", flag = "-c", text = command;
    char* arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
    if (posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environment.data()) != 0)
      pid = -1;
    if (pid > 0) place_ = mark_running(pid);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(input, F_SETFL, O_NONBLOCK);
  }
  ~Child() {
    for (const int file : {input, output, error})
      if (file >= 0) close(file);
    if (pid > 0) {
      kill(-pid, SIGKILL);
      end_mark();
      waitpid(pid, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void close_input() {
    if (input >= 0) close(input);
    input = -1;
  }
  /// The exit status, or minus the signal.
  int wait() {
    int status = 0;
    waitpid(pid, &status, 0);
    kill(-pid, SIGKILL);  // whatever it left behind
    end_mark();
    pid = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  pid_t pid = -1;
  int input = -1, output = -1, error = -1;

 private:
  void end_mark() {
    if (place_) place_->store(0);
    place_ = nullptr;
  }
  std::atomic<pid_t>* place_ = nullptr;
};

/// Appends what there is; false at the end of the file. Bytes above `limit` are dropped.
bool drain(int file, std::string& into, size_t limit) {
  char buffer[1 << 16];
  const ssize_t count = read(file, buffer, sizeof buffer);
  if (count < 0) return errno == EINTR || errno == EAGAIN;
  if (into.size() < limit) into.append(buffer, std::min<size_t>(count, limit - into.size()));
  return count > 0;
}

}  // namespace

void CommandAgent::kill_all() {
  for (const std::atomic<pid_t>& place : running_groups)
    if (const pid_t group = place.load(); group > 0) kill(-group, SIGKILL);
}

CommandAgent::CommandAgent(std::string command, Options options)
    : command_(std::move(command)),
      options_(options),
      name_((options.json ? "cmd-json:" : "cmd:") + command_) {
  signal(SIGPIPE, SIG_IGN);
  for (int i = 0; i < std::max(1, options.jobs); ++i) workers_.emplace_back([this] { work(); });
}

CommandAgent::~CommandAgent() {
  cancel();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

std::string CommandAgent::settings_json() const {
  return json_text({{"command", command_}, {"json", options_.json}});
}

void CommandAgent::generate(GenerationRequest request, std::function<void(Generation)> done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({std::move(request), std::move(done)});
  }
  wake_.notify_one();
}

AgentStatus CommandAgent::status() const {
  const std::lock_guard lock(mutex_);
  AgentStatus status;
  status.in_flight = running_;
  status.limit = options_.jobs;
  return status;
}

void CommandAgent::cancel() {
  cancelled_ = true;
  wake_.notify_all();
}

void CommandAgent::work() {
  for (;;) {
    Call call;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return ending_ || !queue_.empty(); });
      if (queue_.empty()) return;
      call = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
    }
    Generation generation = run(call.request);
    {
      const std::lock_guard lock(mutex_);
      --running_;
    }
    call.done(std::move(generation));
  }
}

Generation CommandAgent::run(const GenerationRequest& request) const {
  Generation generation;
  const auto start = Clock::now();
  const auto fail = [&](FailureClass failure, const char* code, std::string message) {
    generation.failure = failure_of(failure, code, std::move(message));
    return generation;
  };
  if (cancelled_) return fail(FailureClass::cancelled, "cancelled", "");
  const std::string input =
      options_.json ? json_turn(request) : plain_text(request.system, request.messages);
  generation.request_body = input;
  Child child(command_, request);
  if (child.pid < 0)
    return fail(FailureClass::retry, "spawn", fmt::format("cannot start: {}", strerror(errno)));
  std::string answer, errors;
  size_t sent = 0;
  bool output_open = true, error_open = true;
  while (output_open || error_open) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (cancelled_) return fail(FailureClass::cancelled, "cancelled", "");
    if (seconds > options_.deadline_seconds)
      return fail(FailureClass::ambiguous, "timeout",
                  fmt::format("the command ran longer than {} s", options_.deadline_seconds));
    if (answer.size() >= options_.max_answer_bytes)
      return fail(FailureClass::ambiguous, "too_large",
                  fmt::format("the command printed more than {} bytes", options_.max_answer_bytes));
    pollfd files[] = {{child.input, POLLOUT, 0},
                      {output_open ? child.output : -1, POLLIN, 0},
                      {error_open ? child.error : -1, POLLIN, 0}};
    poll(files, 3, 100);
    if (files[0].revents != 0) {
      const ssize_t count = write(child.input, input.data() + sent, input.size() - sent);
      if (count > 0) sent += static_cast<size_t>(count);
      if (sent == input.size() || (count < 0 && errno != EAGAIN && errno != EINTR))
        child.close_input();
    }
    if (files[1].revents != 0) output_open = drain(child.output, answer, options_.max_answer_bytes);
    if (files[2].revents != 0) error_open = drain(child.error, errors, 64 << 10);
  }
  const int status = child.wait();
  generation.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (status != 0) {
    const std::string tail = errors.size() > 400 ? errors.substr(errors.size() - 400) : errors;
    return fail(FailureClass::fail_sample, "exit_status",
                fmt::format("the command ended with {} {}: {}", status < 0 ? "signal" : "status",
                            std::abs(status), tail));
  }
  generation.answer.text = std::move(answer);
  generation.answer.finish = Finish::stop;
  generation.cost_dollars = std::nullopt;
  return generation;
}

}  // namespace assay
