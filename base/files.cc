#include "base/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace assay {

namespace fs = std::filesystem;

static Error system_error(const char* what, const fs::path& path) {
  const int number = errno;
  const auto kind = number == ENOENT ? ErrorKind::not_found : ErrorKind::io;
  return Error{kind, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(number))};
}

Result<std::string> read_file(const fs::path& path, size_t limit_bytes) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return system_error("open", path);
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(file);
    return Error{ErrorKind::invalid, fmt::format("{} is not a regular file", path.string())};
  }
  std::string content;
  std::vector<char> chunk(1 << 16);
  for (;;) {
    const ssize_t count = read(file, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = system_error("read", path);
      close(file);
      return error;
    }
    if (count == 0) break;
    content.append(chunk.data(), static_cast<size_t>(count));
    if (content.size() > limit_bytes) {
      close(file);
      return Error{ErrorKind::invalid, fmt::format("{} is larger than the limit of {} bytes",
                                                   path.string(), limit_bytes)};
    }
  }
  close(file);
  return content;
}

Result<void> write_file(const fs::path& path, std::string_view content) {
  std::string temporary = path.string() + ".XXXXXX";
  const int file = mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) return system_error("create a file beside", path);
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t count = write(file, content.data() + done, content.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = system_error("write", path);
      close(file);
      unlink(temporary.c_str());
      return error;
    }
    done += static_cast<size_t>(count);
  }
  fchmod(file, 0644);
  close(file);
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    const Error error = system_error("rename into place", path);
    unlink(temporary.c_str());
    return error;
  }
  return {};
}

Result<TemporaryFolder> TemporaryFolder::create(std::string_view prefix) {
  const char* root = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/{}-XXXXXX", root && *root ? root : "/tmp", prefix);
  if (!mkdtemp(path.data())) return system_error("create the temporary folder", path);
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

}  // namespace assay
