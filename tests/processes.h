// The processes below this one, for tests that kill some of them.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace assay::testing {

struct ProcessState {
  std::string name;
  char state = 0;  // as in /proc/PID/stat; 0 where the process is gone
  pid_t parent = 0;
};

inline ProcessState state_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t open = line.find('('), close = line.rfind(')');
  ProcessState state;
  if (open == std::string::npos || close == std::string::npos || close + 4 > line.size())
    return state;
  state.name = line.substr(open + 1, close - open - 1);
  state.state = line[close + 2];
  state.parent = atoi(line.c_str() + close + 4);
  return state;
}

inline bool is_descendant(pid_t process) {
  for (int depth = 0; process > 1 && depth < 16; ++depth) {
    process = state_of(process).parent;
    if (process == getpid()) return true;
  }
  return false;
}

/// Those below this process that are not dead and whose names begin so.
inline std::vector<pid_t> descendants(const std::string& name) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t process = atoi(entry.path().filename().c_str());
    if (process <= 1) continue;
    const ProcessState state = state_of(process);
    if (state.state != 0 && state.state != 'Z' && state.name.starts_with(name) &&
        is_descendant(process))
      found.push_back(process);
  }
  return found;
}

/// Kills those; how many.
inline size_t kill_descendants(const std::string& name) {
  size_t killed = 0;
  for (const pid_t process : descendants(name)) killed += kill(process, SIGKILL) == 0;
  return killed;
}

}  // namespace assay::testing
