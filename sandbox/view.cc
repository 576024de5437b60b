#include "sandbox/view.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "sandbox/landlock.h"

namespace assay::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxMounts = 256;

/// Collects steps; makes parent folders once.
class Builder {
 public:
  void folder(const fs::path& inside) {
    const std::string path = relative(inside);
    if (path.empty() || !made_.insert(path).second) return;
    folder(inside.parent_path());
    view_.push_back({.kind = Step::Kind::folder, .path = path, .source = {}});
  }

  void link(const fs::path& inside, const std::string& target) {
    folder(inside.parent_path());
    view_.push_back({.kind = Step::Kind::link, .path = relative(inside), .source = target});
  }

  void memory(const fs::path& inside, const std::string& options) {
    folder(inside);
    view_.push_back({.kind = Step::Kind::memory,
                     .path = relative(inside),
                     .source = options,
                     .writable = true,
                     .rights = landlock::kReadWrite});
  }

  void processes(const fs::path& inside) {
    folder(inside);
    view_.push_back({.kind = Step::Kind::processes,
                     .path = relative(inside),
                     .source = {},
                     .writable = true,
                     .rights = landlock::kReadFile | landlock::kReadFolder | landlock::kWriteFile |
                               landlock::kTruncate});
  }

  /// A path of the host at the same path inside. `foreign_user`: seen by a user who is not the
  /// supervisor's.
  void bind(const fs::path& path, const struct stat& status, bool writable = false,
            bool foreign_user = false) {
    const bool is_folder = S_ISDIR(status.st_mode);
    const bool device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
    const mode_t needed = (is_folder ? S_IROTH | S_IXOTH : S_IROTH) | (writable ? S_IWOTH : 0);
    folder(is_folder ? path : path.parent_path());
    view_.push_back({.kind = Step::Kind::bind,
                     .path = relative(path),
                     .source = path.string(),
                     .writable = writable || device,
                     .is_folder = is_folder,
                     .device = device,
                     .rights = device     ? landlock::kNode
                               : writable ? landlock::kReadWrite
                                          : landlock::kReadOnly,
                     .private_to_owner = foreign_user && (status.st_mode & needed) != needed,
                     .owner = status.st_uid,
                     .group = status.st_gid});
  }

  View take() { return std::move(view_); }

 private:
  static std::string relative(const fs::path& inside) { return inside.relative_path().string(); }

  View view_;
  std::set<std::string> made_;
};

/// Binds what exists; system folders that this host lacks are left out.
void bind_if_present(Builder& builder, const fs::path& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0) builder.bind(path, status);
}

/// /usr and the folders that are links into it (or real folders on older systems).
void add_system(Builder& builder) {
  bind_if_present(builder, "/usr");
  for (const char* path : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (!error) {
      builder.link(path, target.string());
    } else {
      bind_if_present(builder, path);
    }
  }
  bind_if_present(builder, "/etc/ld.so.cache");
  bind_if_present(builder, "/etc/alternatives");
}

void add_gpu(Builder& builder) {
  std::error_code error;
  std::vector<fs::path> nodes;
  for (const fs::directory_entry& entry : fs::directory_iterator("/dev", error)) {
    const std::string name = entry.path().filename().string();
    const bool numbered = name.size() > 6 && name.starts_with("nvidia") &&
                          std::all_of(name.begin() + 6, name.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
    if (numbered || name == "nvidiactl" || name == "nvidia-uvm" || name == "nvidia-uvm-tools")
      nodes.push_back(entry.path());
  }
  std::sort(nodes.begin(), nodes.end());
  for (const fs::path& node : nodes) bind_if_present(builder, node);
  for (const char* path : {"/sys/devices", "/sys/bus/pci", "/sys/module/nvidia"})
    bind_if_present(builder, path);
}

Error unusable(const fs::path& path, std::string_view why) {
  return Error{ErrorKind::sandbox,
               fmt::format("cannot mount {} into the sandbox: {}", path.string(), why)};
}

/// Whether a user who owns nothing reaches what lies in `folder`.
bool reachable(fs::path folder) {
  for (;; folder = folder.parent_path()) {
    struct stat status = {};
    if (stat(folder.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return false;
    if (folder == folder.parent_path()) return true;
  }
}

Result<void> add_mount(Builder& builder, const Mount& mount, const Viewer& viewer) {
  fs::path path = mount.path.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (!path.is_absolute()) return unusable(mount.path, "paths of mounts must be absolute");
  if (path.relative_path().empty()) return unusable(mount.path, "it would replace the root folder");
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0) return unusable(path, strerror(errno));
  builder.bind(path, status, mount.writable, viewer.foreign_user);
  if (!viewer.work_folder.empty() && viewer.foreign_user && !reachable(path.parent_path()))
    return unusable(path,
                    "a folder above it is private to its owner, and without a mount namespace the "
                    "program, which has a user of its own, cannot reach it; make the folders "
                    "searchable (chmod o+x)");
  return {};
}

/// What of a view is left without a mount namespace: rules for paths of the host.
View rules_on_host(View view, const std::string& work_folder) {
  View rules;
  for (Step& step : view) {
    if (step.rights == 0) continue;
    if (step.kind == Step::Kind::processes) {
      step.path = "proc/self";
    } else if (step.path == fs::path(kWorkFolder).relative_path()) {
      step.path = fs::path(work_folder).relative_path();
    } else if (step.kind == Step::Kind::memory) {
      continue;  // /dev/shm would be everybody's
    }
    rules.push_back(std::move(step));
  }
  return rules;
}

}  // namespace

Result<View> make_view(Policy policy, const std::vector<Mount>& mounts, const Limits& limits,
                       const Viewer& viewer) {
  if (mounts.size() > kMaxMounts)
    return Error{ErrorKind::sandbox,
                 fmt::format("{} mounts are more than {}", mounts.size(), kMaxMounts)};
  Builder builder;
  add_system(builder);
  for (const char* node : {"/dev/null", "/dev/random", "/dev/urandom"})
    bind_if_present(builder, node);
  if (policy == Policy::python || policy == Policy::gpu_runner) {
    bind_if_present(builder, "/dev/zero");
    builder.memory("/dev/shm", fmt::format("mode=1777,size={},nr_inodes=1024", limits.work_bytes));
  }
  if (policy == Policy::gpu_runner) {
    if (viewer.processes) builder.processes("/proc");
    add_gpu(builder);
  }
  builder.memory(kWorkFolder, fmt::format("mode=0700,uid={},gid={},size={},nr_inodes={}",
                                          viewer.uid, viewer.gid, limits.work_bytes, kWorkInodes));
  builder.link("/tmp", fs::path(kWorkFolder).relative_path().string());
  for (const Mount& mount : mounts) RETURN_IF_ERROR(add_mount(builder, mount, viewer));
  if (viewer.work_folder.empty()) return builder.take();
  return rules_on_host(builder.take(), viewer.work_folder);
}

}  // namespace assay::sandbox
