// Owner maps: let a program that runs under a user id of its own use mounts that belong to the
// supervisor's user.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "sandbox/descriptor.h"

namespace assay::sandbox {

/// A user namespace for MOUNT_ATTR_IDMAP (Linux 5.12): files of `owner` and `group` appear as those
/// of `uid` and `gid`, and what these create belongs to `owner` and `group`.
Result<Descriptor> make_owner_map(uid_t owner, gid_t group, uid_t uid, gid_t gid);

}  // namespace assay::sandbox
