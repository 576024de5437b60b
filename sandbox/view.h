// View: the file tree that a sandboxed program sees, as a list of steps that the child carries out
// in a fresh tmpfs. Without a mount namespace the program sees the host's tree, and the steps are
// what Landlock lets it open there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

struct Step {
  enum class Kind {
    folder,     // an empty folder of the root's tmpfs
    link,       // a symbolic link to `source`
    bind,       // the host's `source`, with all that is mounted beneath it
    memory,     // a tmpfs with the options `source`
    processes,  // a procfs of the run's own process namespace
  };
  Kind kind = Kind::folder;
  std::string path;  // inside, relative to the root, without a leading slash
  std::string source;
  bool writable = false;
  bool is_folder = true;  // of a bind: a folder, else a file or device node
  bool device = false;    // of a bind: a device node
  uint64_t rights = 0;    // Landlock rights beneath it; 0: no rule
  /// Of a bind: the program's user could not use it without an owner map (owner_map.h).
  bool private_to_owner = false;
  unsigned owner = 0;
  unsigned group = 0;
  int owner_map = -1;  // the supervisor's descriptor of the map
  int tree = -1;       // the child's descriptor of the bind's mount
};

using View = std::vector<Step>;

/// For whom a view is made.
struct Viewer {
  unsigned uid = 0;  // of the work folder, as the run's user namespace numbers it
  unsigned gid = 0;
  bool foreign_user = false;  // the program runs under a uid that is not the supervisor's
  bool processes = false;     // a procfs can be mounted
  /// Without a mount namespace: the host's folder in place of the work folder. Empty: a tmpfs.
  std::string work_folder;
};

/// Plans the view of a policy with the caller's mounts. Errors name a missing or unusable path.
Result<View> make_view(Policy policy, const std::vector<Mount>& mounts, const Limits& limits,
                       const Viewer& viewer);

/// How many files and folders the work folder takes.
inline constexpr int kWorkInodes = 65536;

}  // namespace assay::sandbox
