#include "sandbox/cgroup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

namespace assay::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "assay-";
/// Younger leaves may belong to a supervisor that we cannot see, between mkdir and clone.
constexpr time_t kSweepAgeSeconds = 2;

/// What can be read: a group that goes away meanwhile ends its files early.
std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

/// 0 or errno. Control files want one write.
int write_text(const fs::path& path, std::string_view text) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno;
  return write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                          : errno;
}

size_t read_number(const fs::path& path) {
  const std::string text = read_text(path);
  size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The number after `key` in a file of "key number" lines.
std::optional<size_t> read_field(const fs::path& path, std::string_view key) {
  std::istringstream lines(read_text(path));
  std::string name;
  size_t value = 0;
  while (lines >> name >> value)
    if (name == key) return value;
  return std::nullopt;
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  for (std::string each; words >> each;)
    if (each == word) return true;
  return false;
}

/// Where a hierarchy is mounted and the folder of our own group in it. Version 2 has no controller.
struct Hierarchy {
  fs::path mount;
  fs::path own;
};

/// The group of this process in the hierarchy of `controller` ("" for v2), as /proc/self/cgroup
/// tells it.
std::optional<std::string> own_group(std::string_view controller) {
  std::istringstream lines(read_text("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool matches = controller.empty()
                             ? names == ",,"
                             : names.find(fmt::format(",{},", controller)) != std::string::npos;
    if (matches) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::optional<Hierarchy> find_hierarchy(std::string_view controller) {
  const std::optional<std::string> group = own_group(controller);
  if (!group) return std::nullopt;
  std::istringstream lines(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, mount, word, type, source, options;
    fields >> id >> parent >> device >> root >> mount;
    while (fields >> word && word != "-") {
    }
    fields >> type >> source >> options;
    const bool matches =
        controller.empty()
            ? type == "cgroup2"
            : type == "cgroup" &&
                  ("," + options + ",").find(fmt::format(",{},", controller)) != std::string::npos;
    if (!matches) continue;
    // In a container the mount's root is the container's own group, or the path is beneath it.
    std::string_view inside = *group;
    if (root != "/" && inside.starts_with(root)) inside.remove_prefix(root.size());
    fs::path own = fs::path(mount) / fs::path(inside).relative_path();
    if (!fs::exists(own)) own = mount;
    return Hierarchy{mount, own};
  }
  return std::nullopt;
}

bool is_cgroup2(const fs::path& path) {
  struct statfs status = {};
  return statfs(path.c_str(), &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC;
}

fs::path leaf_name() {
  static std::atomic<unsigned> counter = 0;
  return fmt::format("{}{}-{}", kPrefix, getpid(), counter++);
}

bool remove_leaf(const fs::path& leaf) {
  for (int attempt = 0; attempt < 50; ++attempt) {
    if (rmdir(leaf.c_str()) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt < 10 ? 1 : 20));
  }
  return false;
}

/// Removes leaves of supervisors that no longer exist. rmdir refuses groups with processes.
void sweep(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    if (!name.starts_with(kPrefix)) continue;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), pid);
    struct stat status = {};
    const bool old = stat(entry.path().c_str(), &status) == 0 &&
                     time(nullptr) - status.st_mtime > kSweepAgeSeconds;
    if (pid > 0 && old && ::kill(pid, 0) != 0 && errno == ESRCH) rmdir(entry.path().c_str());
  }
}

/// Makes and removes a leaf; `file` must exist in it and take `value`. 0 or errno.
int try_leaf(const fs::path& folder, const char* file, std::string_view value) {
  const fs::path leaf = folder / leaf_name();
  if (mkdir(leaf.c_str(), 0755) != 0) return errno;
  int error = write_text(leaf / file, value);
  // Whether we may move processes there: a delegated subtree refuses those from outside.
  if (error == 0 && access((leaf / "cgroup.procs").c_str(), W_OK) != 0) error = errno;
  remove_leaf(leaf);
  return error;
}

bool controls(const fs::path& folder) {
  const std::string text = read_text(folder / "cgroup.subtree_control");
  return has_word(text, "memory") && has_word(text, "pids");
}

/// Lets `own` control memory and pids for leaves beneath it. A group with processes may not, so
/// this process, if it is alone there, moves to a leaf of its own first.
bool enable_controls(const fs::path& own) {
  if (controls(own)) return true;
  const std::string available = read_text(own / "cgroup.controllers");
  if (!has_word(available, "memory") || !has_word(available, "pids")) return false;
  // Worth having, but not every host delegates it.
  if (has_word(available, "cpu")) write_text(own / "cgroup.subtree_control", "+cpu");
  if (write_text(own / "cgroup.subtree_control", "+memory +pids") == 0) return true;
  if (errno != EBUSY || read_text(own / "cgroup.procs") != fmt::format("{}\n", getpid()))
    return false;
  const fs::path home = own / fmt::format("{}{}-home", kPrefix, getpid());
  if (mkdir(home.c_str(), 0755) != 0) return false;
  if (write_text(home / "cgroup.procs", "0") == 0 &&
      write_text(own / "cgroup.subtree_control", "+memory +pids") == 0) {
    if (has_word(available, "cpu")) write_text(own / "cgroup.subtree_control", "+cpu");
    return true;
  }
  write_text(own / "cgroup.procs", "0");
  remove_leaf(home);
  return false;
}

void probe_v2(CgroupMeans& means) {
  const std::optional<Hierarchy> found = find_hierarchy("");
  if (!found || !is_cgroup2(found->mount)) {
    means.why = "no cgroup2 is mounted";
    return;
  }
  sweep(found->own);
  // Our own group first, then those above it: a login session's limits are set by its parents.
  const bool may_control = enable_controls(found->own);
  for (fs::path folder = found->own;; folder = folder.parent_path()) {
    if ((may_control || folder != found->own) && controls(folder) &&
        try_leaf(folder, "memory.max", "1073741824") == 0) {
      sweep(folder);
      means.v2 = folder;
      means.v2_controls = true;
      means.v2_cpu = try_leaf(folder, "cpu.max", "max 100000") == 0;
      return;
    }
    if (folder == found->mount || folder == folder.parent_path()) break;
  }
  const int error = try_leaf(found->own, "cgroup.max.depth", "0");
  if (error == 0) means.v2 = found->own;
  means.why = error == 0
                  ? "the memory and pids controllers of cgroup2 are not enabled here"
                  : fmt::format("making a group in {}: {}", found->own.string(), strerror(error));
}

fs::path probe_v1(std::string_view controller, const char* file, std::string_view value,
                  std::string& why) {
  const std::optional<Hierarchy> found = find_hierarchy(controller);
  if (!found) return {};
  sweep(found->own);
  const int error = try_leaf(found->own, file, value);
  if (error == 0) return found->own;
  why = fmt::format("making a group in {}: {}", found->own.string(), strerror(error));
  return {};
}

Result<CgroupLeaf> make_leaf(const fs::path& folder) {
  fs::path leaf = folder / leaf_name();
  if (mkdir(leaf.c_str(), 0755) != 0)
    return Error{ErrorKind::sandbox, fmt::format("cannot make the control group {}: {}",
                                                 leaf.string(), strerror(errno))};
  return CgroupLeaf(std::move(leaf));
}

Result<void> set(const CgroupLeaf& leaf, const char* file, const std::string& value) {
  if (const int error = write_text(leaf / file, value); error != 0)
    return Error{ErrorKind::sandbox, fmt::format("cannot write {} to {}: {}", value,
                                                 (leaf / file).string(), strerror(error))};
  return {};
}

Descriptor open_entry(const CgroupLeaf& leaf) {
  return Descriptor(open((leaf / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
}

/// The filter of a container may hide clone3, whose flags it cannot see.
bool has_clone3() { return syscall(SYS_clone3, nullptr, 0) >= 0 || errno != ENOSYS; }

/// An eventfd that v1 signals when the group of `leaf` runs out of memory.
Descriptor watch_memory(const CgroupLeaf& leaf) {
  Descriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const Descriptor control(open((leaf / "memory.oom_control").c_str(), O_RDONLY | O_CLOEXEC));
  if (!event || !control ||
      write_text(leaf / "cgroup.event_control", fmt::format("{} {}", event.get(), control.get())) !=
          0)
    return {};
  return event;
}

}  // namespace

CgroupMeans probe_cgroups() {
  CgroupMeans means;
  probe_v2(means);
  if (!means.v2_controls) {
    means.memory = probe_v1("memory", "memory.limit_in_bytes", "1073741824", means.why);
    means.pids = probe_v1("pids", "pids.max", "64", means.why);
  }
  std::string unused;
  if (!means.v2_cpu) means.cpu = probe_v1("cpu", "cpu.cfs_quota_us", "-1", unused);
  if (means.limits_memory() && means.limits_pids()) means.why.clear();
  return means;
}

Result<Cgroup> Cgroup::create(const CgroupMeans& means, const Limits& limits) {
  Cgroup group;
  const std::string memory = std::to_string(limits.memory_bytes);
  const std::string processes = std::to_string(limits.processes + 1);  // and init
  constexpr int kPeriod_us = 100'000;
  const int quota_us = static_cast<int>(limits.processors * kPeriod_us);
  if (!means.v2.empty()) {
    ASSIGN_OR_RETURN(group.v2_, make_leaf(means.v2));
    group.v2_controls_ = means.v2_controls;
    if (has_clone3()) {
      group.v2_folder_ =
          Descriptor(open(group.v2_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    } else {
      group.v2_entry_ = open_entry(group.v2_);
    }
    if (means.v2_controls) {
      RETURN_IF_ERROR(set(group.v2_, "memory.max", memory));
      RETURN_IF_ERROR(set(group.v2_, "memory.oom.group", "1"));
      RETURN_IF_ERROR(set(group.v2_, "pids.max", processes));
      write_text(group.v2_ / "memory.swap.max", "0");  // absent without swap accounting
    }
    if (means.v2_cpu && quota_us > 0)
      RETURN_IF_ERROR(set(group.v2_, "cpu.max", fmt::format("{} {}", quota_us, kPeriod_us)));
  }
  if (!means.cpu.empty() && quota_us > 0) {
    ASSIGN_OR_RETURN(group.cpu_, make_leaf(means.cpu));
    RETURN_IF_ERROR(set(group.cpu_, "cpu.cfs_period_us", std::to_string(kPeriod_us)));
    RETURN_IF_ERROR(set(group.cpu_, "cpu.cfs_quota_us", std::to_string(quota_us)));
    group.cpu_entry_ = open_entry(group.cpu_);
  }
  if (!means.memory.empty()) {
    ASSIGN_OR_RETURN(group.memory_, make_leaf(means.memory));
    RETURN_IF_ERROR(set(group.memory_, "memory.limit_in_bytes", memory));
    write_text(group.memory_ / "memory.memsw.limit_in_bytes", memory);  // as above
    group.memory_entry_ = open_entry(group.memory_);
    group.memory_event_ = watch_memory(group.memory_);
  }
  if (!means.pids.empty()) {
    ASSIGN_OR_RETURN(group.pids_, make_leaf(means.pids));
    RETURN_IF_ERROR(set(group.pids_, "pids.max", processes));
    group.pids_entry_ = open_entry(group.pids_);
  }
  return group;
}

CgroupLeaf::~CgroupLeaf() {
  if (!path_.empty()) remove_leaf(path_);
}

std::vector<int> Cgroup::entries() const {
  std::vector<int> entries;
  for (const Descriptor* entry : {&v2_entry_, &memory_entry_, &pids_entry_, &cpu_entry_})
    if (*entry) entries.push_back(entry->get());
  return entries;
}

void Cgroup::kill() const {
  if (v2_) write_text(v2_ / "cgroup.kill", "1");
}

std::optional<std::chrono::microseconds> Cgroup::cpu() const {
  if (!v2_) return std::nullopt;
  const std::optional<size_t> used = read_field(v2_ / "cpu.stat", "usage_usec");
  if (!used) return std::nullopt;
  return std::chrono::microseconds(*used);
}

size_t Cgroup::peak_memory_bytes() const {
  if (v2_controls_) return read_number(v2_ / "memory.peak");
  return memory_ ? read_number(memory_ / "memory.max_usage_in_bytes") : 0;
}

bool Cgroup::out_of_memory() const {
  if (v2_controls_) return read_field(v2_ / "memory.events", "oom_kill").value_or(0) > 0;
  return memory_ && read_field(memory_ / "memory.oom_control", "oom_kill").value_or(0) > 0;
}

bool Cgroup::out_of_processes() const {
  const CgroupLeaf& leaf = v2_controls_ ? v2_ : pids_;
  return leaf && read_field(leaf / "pids.events", "max").value_or(0) > 0;
}

}  // namespace assay::sandbox
