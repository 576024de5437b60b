// A stand-in for libnvidia-ml.so.1: one GPU, whose processes the environment lists as
// FAKE_GPU_PROCESSES="pid:bytes pid:bytes".
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct ProcessInfo {
  unsigned pid;
  unsigned long long memory_bytes;
  unsigned gpu_instance, compute_instance;
};

}  // namespace

extern "C" {

int nvmlInit_v2() { return 0; }

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  *device = nullptr;
  return std::strcmp(uuid, "GPU-5a") == 0 ? 0 : 6;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void*, unsigned* count, ProcessInfo* infos) {
  const char* rest = std::getenv("FAKE_GPU_PROCESSES");
  unsigned found = 0;
  int length = 0;
  ProcessInfo info{};
  while (rest && found < *count &&
         std::sscanf(rest, " %u:%llu%n", &info.pid, &info.memory_bytes, &length) == 2) {
    infos[found++] = info;
    rest += length;
  }
  *count = found;
  return 0;
}

}  // extern "C"
