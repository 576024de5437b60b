// Other processes that compute on a GPU: they disturb what is timed there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

struct Neighbour {
  int pid = 0;
  std::string name;    // of its program
  uint64_t bytes = 0;  // of the GPU's memory; 0: not told
};

/// The processes with a context on the GPU `uuid` ("GPU-...") that this process has not started,
/// as NVIDIA's management library tells. Empty also where it cannot be told: no library, or process
/// ids of another namespace (recognised by our own runner not being among them).
std::vector<Neighbour> neighbours(const std::string& uuid);

/// "process 4711 (python3, 12.0 GiB), process 4712 (train)".
std::string describe(const std::vector<Neighbour>& neighbours);

}  // namespace assay
