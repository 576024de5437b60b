#include "evaluator/runner/neighbours.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/files.h"

namespace assay {

namespace {

// What is needed of NVML, whose header not every toolkit brings: nvmlProcessInfo_v2_t of its
// reference, section 4.18.
struct ProcessInfo {
  unsigned pid;
  unsigned long long memory_bytes;
  unsigned gpu_instance, compute_instance;
};
constexpr unsigned kMostProcesses = 256;

struct Management {
  int (*init)() = nullptr;
  int (*device_of)(const char* uuid, void** device) = nullptr;
  int (*processes)(void* device, unsigned* count, ProcessInfo* infos) = nullptr;
};

/// Null: there is no library.
const Management* management() {
  static const Management* const loaded = []() -> const Management* {
    static Management functions;
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return nullptr;
    const auto resolve = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::decay_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    const bool complete = resolve(functions.init, "nvmlInit_v2") &&
                          resolve(functions.device_of, "nvmlDeviceGetHandleByUUID") &&
                          resolve(functions.processes, "nvmlDeviceGetComputeRunningProcesses_v3");
    return complete && functions.init() == 0 ? &functions : nullptr;
  }();
  return loaded;
}

/// 0 where there is no such process.
int parent_of(int pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid));
  if (!text.ok()) return 0;
  // The program's name stands in parentheses and may hold anything.
  const size_t end = text->rfind(')');
  int parent = 0;
  if (end == std::string::npos || std::sscanf(text->c_str() + end + 1, " %*c %d", &parent) != 1)
    return 0;
  return parent;
}

bool started_here(int pid) {
  for (int steps = 0; pid > 1 && steps < 64; ++steps, pid = parent_of(pid))
    if (pid == getpid()) return true;
  return false;
}

std::string program_of(int pid) {
  auto name = read_file(fmt::format("/proc/{}/comm", pid));
  if (!name.ok()) return "unknown";
  while (!name->empty() && name->back() == '\n') name->pop_back();
  return *name;
}

}  // namespace

std::vector<Neighbour> neighbours(const std::string& uuid) {
  const Management* functions = management();
  void* device = nullptr;
  if (!functions || functions->device_of(uuid.c_str(), &device) != 0) return {};
  std::vector<ProcessInfo> infos(kMostProcesses);
  unsigned count = kMostProcesses;
  if (functions->processes(device, &count, infos.data()) != 0) return {};
  infos.resize(std::min(count, kMostProcesses));
  const auto ours = [](const ProcessInfo& info) {
    return started_here(static_cast<int>(info.pid));
  };
  if (std::ranges::none_of(infos, ours)) return {};
  std::vector<Neighbour> found;
  for (const ProcessInfo& info : infos) {
    if (ours(info)) continue;
    const bool told = info.memory_bytes != ~0ull;
    found.push_back({static_cast<int>(info.pid), program_of(static_cast<int>(info.pid)),
                     told ? info.memory_bytes : 0});
  }
  return found;
}

std::string describe(const std::vector<Neighbour>& neighbours) {
  std::string text;
  for (const Neighbour& neighbour : neighbours) {
    text +=
        fmt::format("{}process {} ({}", text.empty() ? "" : ", ", neighbour.pid, neighbour.name);
    if (neighbour.bytes > 0)
      text += fmt::format(", {:.1f} GiB", static_cast<double>(neighbour.bytes) / (1ull << 30));
    text += ')';
  }
  return text;
}

}  // namespace assay
