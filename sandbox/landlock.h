// Landlock by its raw system calls: a second barrier behind the mount namespace.
#pragma once

#include <cstdint>

namespace assay::sandbox {

// Rights of ABI 1 to 5, by bit (Documentation/userspace-api/landlock.rst of Linux). The headers of
// Debian 12 stop at ABI 2.
namespace landlock {
inline constexpr uint64_t kExecute = 1u << 0;
inline constexpr uint64_t kWriteFile = 1u << 1;
inline constexpr uint64_t kReadFile = 1u << 2;
inline constexpr uint64_t kReadFolder = 1u << 3;
inline constexpr uint64_t kMakeCharacterDevice = 1u << 6;
inline constexpr uint64_t kMakeBlockDevice = 1u << 11;
inline constexpr uint64_t kTruncate = 1u << 14;
inline constexpr uint64_t kDeviceIoctl = 1u << 15;

inline constexpr uint64_t kReadOnly = kExecute | kReadFile | kReadFolder;
inline constexpr uint64_t kNode = kReadFile | kWriteFile | kTruncate | kDeviceIoctl;
inline constexpr uint64_t kReadWrite =
    0xffff & ~(kMakeCharacterDevice | kMakeBlockDevice | kDeviceIoctl);
inline constexpr uint64_t kOnFiles = kExecute | kWriteFile | kReadFile | kTruncate | kDeviceIoctl;
}  // namespace landlock

/// The kernel's Landlock ABI; 0: none.
int landlock_abi();

/// A rule set that handles every right of `abi` and allows nothing: no path, no TCP port, no
/// abstract socket or signal outside it. Returns its descriptor, or -1 with errno.
/// Async-signal-safe, like the next two.
int landlock_create(int abi);
/// Allows `rights` (masked by the ABI and by what the path is) beneath `path`. False with errno.
bool landlock_allow(int ruleset, int abi, const char* path, uint64_t rights);
/// Confines the calling thread for good. Needs no_new_privs.
bool landlock_restrict(int ruleset);

}  // namespace assay::sandbox
