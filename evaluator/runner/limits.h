// Numbers that both sides of a runner's socket agree on.
#pragma once

#include <cstddef>

namespace assay {

/// The runner's end of the socket pair.
inline constexpr int kRunnerSocket = 3;

/// Artifacts a runner keeps; the client and the runner forget the oldest alike.
inline constexpr size_t kRunnerArtifacts = 32;

}  // namespace assay
