// System call filters: one BPF program per policy, built by libseccomp once per process.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/sandbox.h"

namespace assay::sandbox {

/// The filter of a policy. With `listener`, forbidden calls are reported to a listener (init),
/// which names the call and ends the run; without, the kernel kills the caller. Without
/// `namespaces` it also refuses what only they keep within the run.
Result<const std::vector<sock_filter>*> policy_filter(Policy policy, bool listener,
                                                      bool namespaces);

/// Whether the policy's program may execute no second program: with a listener, its first execve
/// is let through by init and every later one is a violation.
bool executes_once(Policy policy);

/// Whether the policy's program may send SIGKILL. Where not, one that ends by it was killed by
/// somebody else.
bool sends_kill(Policy policy);

/// The name of a system call number of `architecture` (AUDIT_ARCH_*), or "" when unknown.
std::string system_call_name(uint32_t architecture, int number);

}  // namespace assay::sandbox
