// Long-lived programs.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "payload_run.h"

namespace assay::sandbox {
namespace {

using std::chrono::milliseconds;

Limits no_deadline() {
  Limits limits;
  limits.wall = limits.cpu = milliseconds(0);
  return limits;
}

std::unique_ptr<Process> start_payload(Command command, Policy policy = Policy::gpu_runner,
                                       const Limits& limits = no_deadline()) {
  Result<std::unique_ptr<Process>> process = start(command, limits, policy);
  EXPECT_TRUE(process.ok()) << process.error().message;
  return process.ok() ? *std::move(process) : nullptr;
}

std::string ask(int socket, const std::string& text) {
  EXPECT_EQ(write(socket, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  char answer[256];
  const ssize_t count = read(socket, answer, sizeof(answer));
  return {answer, count > 0 ? static_cast<size_t>(count) : 0};
}

TEST(Process, AnswersOverASocketPairUntilItIsKilled) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Command command = payload({"echo"});
  command.descriptors = {ends[1]};
  const auto process = start_payload(command);
  ASSERT_NE(process, nullptr);
  close(ends[1]);
  EXPECT_EQ(ask(ends[0], "hello"), "HELLO");
  EXPECT_FALSE(process->wait(milliseconds(0)).has_value());
  EXPECT_EQ(ask(ends[0], "again"), "AGAIN");
  EXPECT_EQ(kill(process->pid(), 0), 0);
  process->kill();
  const std::optional<Outcome> outcome = process->wait(milliseconds(0));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit, Exit::signalled);
  EXPECT_EQ(outcome->signal, SIGKILL);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 0);  // its end of the socket is gone
  close(ends[0]);
}

TEST(Process, EndsByItselfWhenItsPeerGoes) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Command command = payload({"echo"});
  command.descriptors = {ends[1]};
  const auto process = start_payload(command, Policy::recorder);
  ASSERT_NE(process, nullptr);
  close(ends[1]);
  close(ends[0]);
  const std::optional<Outcome> outcome = process->wait(milliseconds(5000));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit, Exit::exited);
  EXPECT_EQ(outcome->code, 0);
}

TEST(Process, OutlivesTheThreadThatStartedIt) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  Command command = payload({"echo"});
  command.descriptors = {ends[1]};
  std::unique_ptr<Process> process;
  std::thread([&] { process = start_payload(command); }).join();
  close(ends[1]);
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_EQ(ask(ends[0], "still here"), "STILL HERE");
  close(ends[0]);
}

TEST(Process, IsKilledByItsDestructor) {
  int pid = -1;
  {
    const auto process = start_payload(payload({"sleep"}));
    ASSERT_NE(process, nullptr);
    pid = process->pid();
    EXPECT_EQ(kill(pid, 0), 0);
  }
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST(Process, ThatPrintsIsReadWhileNobodyWaits) {
  const auto process = start_payload(payload({"flood", "2", "3000000"}));
  ASSERT_NE(process, nullptr);
  std::this_thread::sleep_for(milliseconds(300));
  const std::optional<Outcome> outcome = process->wait(milliseconds(5000));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_TRUE(outcome->standard_error.ends_with("end"));
}

TEST(Process, KeepsItsDeadlineWhileNobodyWaits) {
  Limits limits = no_deadline();
  limits.wall = milliseconds(150);
  const auto process = start_payload(payload({"sleep"}), Policy::recorder, limits);
  ASSERT_NE(process, nullptr);
  std::this_thread::sleep_for(milliseconds(400));
  const std::optional<Outcome> outcome = process->wait(milliseconds(0));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->exit, Exit::timeout);
}

TEST(Process, ThatCannotStartIsAnError) {
  Command command;
  command.arguments = {"/usr/bin/no-such-program"};
  EXPECT_FALSE(start(command, {}, Policy::recorder).ok());
}

}  // namespace
}  // namespace assay::sandbox
