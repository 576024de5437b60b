// Means: which mechanisms this host offers, found by trying them.
#pragma once

#include <unistd.h>

#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

struct Means {
  bool usable = false;  // programs can be run at all
  bool namespaces = false;
  bool user_namespace = false;  // needed to get the others: the caller is not root
  bool listener = false;        // seccomp can report forbidden calls to init
  bool processes = false;       // a procfs can be mounted inside, or read where there is no inside
  int landlock_abi = 0;
  CgroupMeans cgroups;
  Isolation isolation;

  /// Whether programs run under a user id that nobody else has.
  bool own_user() const { return !user_namespace && geteuid() == 0; }
};

/// Cached for the process. Thread-safe.
const Means& means();

/// Why this host runs nothing, where the means are not usable.
Error refusal();

}  // namespace assay::sandbox
