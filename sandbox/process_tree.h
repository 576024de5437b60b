// What a process and its descendants use, read from /proc: for hosts where no control group counts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>

namespace assay::sandbox {

struct TreeUsage {
  size_t memory_bytes = 0;           // private resident memory of the descendants
  std::chrono::microseconds cpu{0};  // of the root and its descendants, reaped ones included
};

/// Of all descendants of `root` that exist now. Processes that end meanwhile are left out.
TreeUsage measure_tree(pid_t root);

/// Threads of all processes of a user: what RLIMIT_NPROC counts.
size_t tasks_of_user(uid_t user);

}  // namespace assay::sandbox
