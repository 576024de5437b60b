#include "sandbox/process_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace assay::sandbox {
namespace {

constexpr size_t kMaxProcesses = 4096;

std::vector<pid_t> children_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/task/{}/children", process, process));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

size_t private_memory_bytes(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/statm", process));
  size_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared) || shared > resident) return 0;
  return (resident - shared) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::chrono::microseconds cpu_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(file, line);
  // The second field, the name in parentheses, may contain anything.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  int64_t ticks = 0;
  for (int64_t part = 0, count = 0; count < 4 && fields >> part; ++count) ticks += part;
  return std::chrono::microseconds(ticks * 1'000'000 / sysconf(_SC_CLK_TCK));
}

}  // namespace

TreeUsage measure_tree(pid_t root) {
  TreeUsage usage;
  std::vector<pid_t> processes = {root};
  for (size_t i = 0; i < processes.size() && processes.size() < kMaxProcesses; ++i) {
    // The root, init, shares its memory with the supervisor that it was cloned from.
    if (i > 0) usage.memory_bytes += private_memory_bytes(processes[i]);
    usage.cpu += cpu_of(processes[i]);
    for (const pid_t child : children_of(processes[i])) processes.push_back(child);
  }
  return usage;
}

size_t tasks_of_user(uid_t user) {
  size_t tasks = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    struct stat status = {};
    if (stat((entry.path() / "task").c_str(), &status) != 0 || status.st_uid != user) continue;
    // A folder has a link for itself, one in its parent and one for each folder in it.
    tasks += status.st_nlink - std::min<nlink_t>(status.st_nlink, 2);
  }
  return tasks;
}

}  // namespace assay::sandbox
