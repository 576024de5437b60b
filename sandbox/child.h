// The sandboxed side from clone to execve. Only async-signal-safe calls.
#pragma once

#include "sandbox/launch.h"
#include "sandbox/messages.h"

namespace assay::sandbox {

/// Runs in the cloned child: builds the view, becomes init of the process namespace, forks the
/// program. Never returns.
[[noreturn]] void child_main(Launch& launch);

/// Reports a failed step to the supervisor and ends the process.
[[noreturn]] void fail(const Launch& launch, Stage stage, int error, int index = -1);

/// Gives up the user id of the supervisor and every capability, for good.
void drop_privileges(const Launch& launch);

/// What init keeps of the program it forked.
struct Child {
  int process = -1;    // pid, as init numbers it
  int handshake = -1;  // closed on the other side when the program has started
  int signals = -1;    // a signalfd of SIGCHLD
};

/// The life of init (init.cc). Never returns.
[[noreturn]] void init_main(const Launch& launch, Child child);

}  // namespace assay::sandbox
