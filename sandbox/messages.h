// What the sandboxed side tells the supervisor, over one SOCK_SEQPACKET socket. Written by trusted
// code only: the socket closes when the program starts.
#pragma once

#include <cstdint>
#include <string_view>

#include "sandbox/descriptor.h"

namespace assay::sandbox {

/// Steps of the set-up, as error messages name them.
enum class Stage : int32_t {
  cgroup,
  user_map,
  private_mounts,
  source,  // index: step of the view
  owner,   // index: step of the view
  root,
  step,   // index: step of the view
  input,  // index: input file
  pivot,
  host_name,
  init,
  fork,
  descriptors,
  resource_limits,  // index: number of the limit
  privileges,
  landlock,  // index: step of the view, or -1
  filter,
  listener,
  execute,
};

struct Message {
  enum class Kind : int32_t {
    failed,     // the set-up: stage, error, index
    filter,     // from the program to init: the filter is on, its listener comes with the message
    group,      // without namespaces: number, the process group that the program cannot leave
    started,    // the program's execve succeeded
    violation,  // forbidden system call: number, architecture
    file,       // a requested output; index, its descriptor comes with the message
    ended,      // status, wall_us, cpu_us, peak_bytes
  };
  Kind kind = Kind::failed;
  Stage stage = Stage::init;
  int32_t error = 0;  // errno
  int32_t index = -1;
  int32_t status = 0;         // raw wait status of the program
  int32_t number = 0;         // of the system call, or of the group
  uint32_t architecture = 0;  // AUDIT_ARCH_*
  int64_t wall_us = 0;        // execve to exit
  int64_t cpu_us = 0;         // of all reaped processes
  int64_t peak_bytes = 0;     // of the largest single process
};

/// Sends one message, with a descriptor unless it is -1. Async-signal-safe; a closed peer is
/// ignored, and noticed where it ought to answer.
void send_message(int socket, const Message& message, int descriptor = -1);

/// Takes the next message if there is one; never blocks. False: none (yet, or any more).
bool receive_message(int socket, Message& message, Descriptor& descriptor);

std::string_view describe(Stage stage);

}  // namespace assay::sandbox
