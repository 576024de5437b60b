// Means: which mechanisms this host offers, found by trying them.
#pragma once

#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

struct Means {
  bool namespaces = false;
  bool user_namespace = false;  // needed to get the others: the caller is not root
  bool listener = false;        // seccomp can report forbidden calls to init
  bool processes = false;       // a procfs can be mounted inside
  int landlock_abi = 0;
  CgroupMeans cgroups;
  Isolation isolation;
};

/// Cached for the process. Thread-safe.
const Means& means();

}  // namespace assay::sandbox
