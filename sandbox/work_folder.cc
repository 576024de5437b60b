#include "sandbox/work_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "sandbox/descriptor.h"

namespace assay::sandbox {
namespace {

constexpr int kMaxDepth = 64;

int open_folder(int parent, const char* name) {
  return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/// Calls `visit` with each name in an open folder until it returns false. Not readdir, which
/// allocates. False where the folder cannot be read or `visit` said so.
template <typename Visit>
bool for_each_name(int folder, Visit visit) {
  alignas(dirent64) char buffer[4096];
  lseek(folder, 0, SEEK_SET);
  for (;;) {
    const long bytes = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
    if (bytes <= 0) return bytes == 0;
    for (long at = 0; at < bytes;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      at += entry->d_reclen;
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      if (!visit(entry->d_name)) return false;
    }
  }
}

struct Room {
  size_t bytes;
  size_t entries;
};

/// Takes what a folder holds off `room`; false when that does not suffice.
bool fits(int folder, Room& room, int depth) {
  return for_each_name(folder, [&](const char* name) {
    struct stat status = {};
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return true;  // gone meanwhile
    const size_t bytes = static_cast<size_t>(status.st_blocks) * 512;
    if (room.entries == 0 || room.bytes < bytes) return false;
    --room.entries;
    room.bytes -= bytes;
    if (!S_ISDIR(status.st_mode)) return true;
    const Descriptor inner(open_folder(folder, name));
    if (!inner) return errno == ENOENT;  // gone meanwhile; one that hides its content is too much
    return depth < kMaxDepth && fits(inner.get(), room, depth + 1);
  });
}

/// Opens the folder `name`, whatever its mode; -1 for everything else.
int open_any_folder(int parent, const char* name) {
  struct stat status = {};
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode))
    return -1;
  fchmodat(parent, name, 0700, 0);
  return open_folder(parent, name);
}

/// Moves what is in `name` of `root` up into `root`, under new names, and removes it.
bool flatten(int root, const char* name, unsigned& renamed) {
  const int folder = open_any_folder(root, name);
  if (folder < 0) return false;
  const bool ok = for_each_name(folder, [&](const char* inner) {
    if (unlinkat(folder, inner, 0) == 0) return true;
    const Descriptor moving(open_any_folder(folder, inner));  // one that moves must be writable
    if (!moving) return false;
    for (;;) {
      char moved[32];
      snprintf(moved, sizeof(moved), "assay-%u", renamed++);
      if (renameat2(folder, inner, root, moved, RENAME_NOREPLACE) == 0) return true;
      if (errno != EEXIST) return false;
    }
  });
  close(folder);
  return ok && unlinkat(root, name, AT_REMOVEDIR) == 0;
}

}  // namespace

Result<WorkFolder> WorkFolder::create(uid_t uid, gid_t gid) {
  std::error_code error;
  std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) parent = "/tmp";
  const std::filesystem::path real = std::filesystem::canonical(parent, error);
  if (error)
    return Error{
        ErrorKind::sandbox,
        fmt::format("cannot use {} for work folders: {}; set TMPDIR to a folder that exists",
                    parent.string(), error.message())};
  std::string path = (real / "assay-work-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr)
    return Error{ErrorKind::sandbox, fmt::format("cannot make a work folder in {}: {}",
                                                 parent.string(), strerror(errno))};
  WorkFolder folder(path);
  if (uid != geteuid() && chown(path.c_str(), uid, gid) != 0)
    return Error{ErrorKind::sandbox,
                 fmt::format("cannot hand the work folder {} over: {}", path, strerror(errno))};
  return folder;
}

WorkFolder::~WorkFolder() {
  if (!path_.empty()) remove_work_folder(path_.c_str());
}

bool WorkFolder::exceeds(size_t bytes, size_t entries) const {
  const Descriptor folder(open_folder(AT_FDCWD, path_.c_str()));
  Room room = {bytes, entries};
  return folder && !fits(folder.get(), room, 0);
}

bool remove_work_folder(const char* path) {
  const int root = open_any_folder(AT_FDCWD, path);
  if (root < 0) return errno == ENOENT;
  unsigned renamed = 0;
  // A pass may miss what it moves up itself: until one finds nothing.
  bool ok = true;
  for (bool found = true; ok && found;) {
    found = false;
    ok = for_each_name(root, [&](const char* name) {
      found = true;
      return unlinkat(root, name, 0) == 0 || flatten(root, name, renamed);
    });
  }
  close(root);
  return ok && rmdir(path) == 0;
}

}  // namespace assay::sandbox
