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
constexpr int kWorkInodes = 65536;

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

  /// A path of the host. `foreign_user`: seen by a user who is not the supervisor's.
  void bind(const fs::path& outside, const fs::path& inside, const struct stat& status,
            bool writable = false, bool foreign_user = false) {
    const bool is_folder = S_ISDIR(status.st_mode);
    const bool device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
    const mode_t needed = (is_folder ? S_IROTH | S_IXOTH : S_IROTH) | (writable ? S_IWOTH : 0);
    folder(is_folder ? inside : inside.parent_path());
    view_.push_back({.kind = Step::Kind::bind,
                     .path = relative(inside),
                     .source = outside.string(),
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
  if (stat(path.c_str(), &status) == 0) builder.bind(path, path, status);
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

Result<void> check_mount(const Mount& mount, const fs::path& inside) {
  const auto refuse = [&](const char* why) {
    return Error{ErrorKind::sandbox,
                 fmt::format("cannot mount {} into the sandbox: {}", mount.outside.string(), why)};
  };
  if (!mount.outside.is_absolute() || !inside.is_absolute())
    return refuse("paths of mounts must be absolute");
  if (inside.relative_path().empty()) return refuse("it would replace the root folder");
  return {};
}

}  // namespace

Result<View> make_view(Policy policy, const std::vector<Mount>& mounts, const Limits& limits,
                       unsigned uid, unsigned gid, bool foreign_user, bool processes) {
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
    if (processes) builder.processes("/proc");
    add_gpu(builder);
  }
  builder.memory(kWorkFolder, fmt::format("mode=0700,uid={},gid={},size={},nr_inodes={}", uid, gid,
                                          limits.work_bytes, kWorkInodes));
  builder.link("/tmp", fs::path(kWorkFolder).relative_path().string());

  for (const Mount& mount : mounts) {
    fs::path inside = (mount.inside.empty() ? mount.outside : mount.inside).lexically_normal();
    if (!inside.has_filename()) inside = inside.parent_path();
    struct stat status = {};
    if (stat(mount.outside.c_str(), &status) != 0)
      return Error{ErrorKind::sandbox, fmt::format("cannot mount {} into the sandbox: {}",
                                                   mount.outside.string(), strerror(errno))};
    RETURN_IF_ERROR(check_mount(mount, inside));
    builder.bind(mount.outside, inside, status, mount.writable, foreign_user);
  }
  return builder.take();
}

}  // namespace assay::sandbox
