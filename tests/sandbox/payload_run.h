// Runs the test payload, inside the sandbox or outside.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace assay::sandbox {

inline Command payload(std::vector<std::string> arguments) {
  Command command;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), SANDBOX_PAYLOAD);
  command.mounts = {{SANDBOX_PAYLOAD}};
  return command;
}

/// The outcome of the payload in the sandbox; a failure to set up fails the test.
inline Outcome run_payload(std::vector<std::string> arguments, Policy policy = Policy::compiler,
                           const Limits& limits = {}) {
  Result<Outcome> result = run(payload(std::move(arguments)), limits, policy);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *std::move(result) : Outcome{};
}

/// The program did not get the room it wanted: its tmpfs is full, or without a mount namespace it
/// was ended (a faster one ends before anybody looks).
inline void expect_no_space(const Outcome& outcome) {
  if (isolation().namespaces) {
    EXPECT_EQ(outcome.standard_output, "ENOSPC\n");
  } else {
    EXPECT_TRUE(outcome.exit == Exit::output || outcome.exit == Exit::exited)
        << outcome.explanation;
  }
}

/// The exit status of the payload outside any sandbox; -1 when it was killed. In a process of its
/// own, as some attacks change their process for good.
inline int run_bare(const std::vector<std::string>& arguments) {
  std::vector<char*> list = {const_cast<char*>(SANDBOX_PAYLOAD)};
  for (const std::string& argument : arguments) list.push_back(const_cast<char*>(argument.c_str()));
  list.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (chdir("/tmp") != 0 || freopen("/dev/null", "w", stdout) == nullptr) _exit(99);
    execv(list[0], list.data());
    _exit(98);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace assay::sandbox
