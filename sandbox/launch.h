// Launch: all that a run needs, prepared before the clone, because its child may only make
// async-signal-safe calls (the supervisor may have threads that hold locks).
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/descriptor.h"
#include "sandbox/host.h"
#include "sandbox/sandbox.h"
#include "sandbox/view.h"
#include "sandbox/work_folder.h"

namespace assay::sandbox {

struct ResourceLimit {
  int number = 0;  // RLIMIT_*
  rlimit value = {};
};

struct Launch {
  // The program. `arguments` and `environment` end with a null pointer and point into `strings`.
  std::vector<std::string> strings;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::span<const InputFile> inputs;  // the caller's, until the clone
  std::vector<std::string> outputs;

  // The supervisor's descriptors that the child uses; all but these are closed in the child.
  int control = -1;
  int standard_input = -1;
  int standard_output = -1;
  int standard_error = -1;
  std::vector<int> descriptors;        // become 3, 4, ...
  std::vector<int> cgroup_entries;     // write "0" to enter
  std::vector<Descriptor> owner_maps;  // of private mounts, owned
  std::vector<int> keep;               // all of the above, ascending

  // Who it is and what it may do.
  bool namespaces = true;  // else everything happens in the host's own (tier 3)
  bool user_namespace = false;
  bool own_user = false;  // its user outside is not the caller's
  uid_t uid = 0;          // as seen inside; with a user namespace it is mapped to the caller's
  gid_t gid = 0;
  std::string uid_map;
  std::string gid_map;
  View view;
  WorkFolder work_folder;  // without namespaces
  std::string work_path;   // the work folder, as the program sees it
  std::vector<ResourceLimit> limits;
  size_t file_bytes = 0;
  int landlock_abi = 0;
  const std::vector<sock_filter>* filter = nullptr;
  bool listener = false;
  bool executes_once = false;
  bool kill_is_foreign = false;  // the filter lets the program send no SIGKILL
  Isolation isolation;           // of the host, for the outcome
  bool self_test = false;        // run the built-in self-test in place of a program
};

/// Plans a run without starting anything. The descriptors but `descriptors` are still to be set.
Result<Launch> prepare_launch(const Command& command, const Limits& limits, Policy policy,
                              const Means& means);

}  // namespace assay::sandbox
