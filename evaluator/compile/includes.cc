#include "evaluator/compile/includes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

namespace assay {
namespace {

namespace fs = std::filesystem;

/// Headers directly in /usr/include that the C and C++ standard libraries are made of.
const std::set<std::string_view>& c_library_headers() {
  static const std::set<std::string_view> names = {
      "alloca.h",    "assert.h",   "complex.h", "ctype.h",           "dlfcn.h",
      "endian.h",    "errno.h",    "fcntl.h",   "features-time64.h", "features.h",
      "fenv.h",      "inttypes.h", "libintl.h", "limits.h",          "locale.h",
      "malloc.h",    "math.h",     "memory.h",  "pthread.h",         "sched.h",
      "semaphore.h", "setjmp.h",   "signal.h",  "stdc-predef.h",     "stdint.h",
      "stdio.h",     "stdlib.h",   "string.h",  "strings.h",         "syscall.h",
      "tgmath.h",    "threads.h",  "time.h",    "uchar.h",           "unistd.h",
      "wchar.h",     "wctype.h"};
  return names;
}

/// CUDA's include folder may also hold the headers of libraries, which candidates may not use.
constexpr std::array<std::string_view, 14> kLibraries = {
    "cublas", "cudnn", "cufft",  "curand", "cusparse", "cusolver", "cutensor",
    "nccl",   "npp",   "nvjpeg", "nvrtc",  "nvml",     "cupti",    "nvtx"};

bool starts_with_folder(std::string_view path, std::string_view folder) {
  return path.size() > folder.size() && path.starts_with(folder) && path[folder.size()] == '/';
}

bool allowed(const std::string& path, const Toolchain& toolchain) {
  const std::string cuda = toolchain.include.string();
  if (starts_with_folder(path, cuda)) {
    const std::string_view name = std::string_view(path).substr(cuda.size() + 1);
    return std::none_of(kLibraries.begin(), kLibraries.end(),
                        [&](std::string_view library) { return name.starts_with(library); });
  }
  for (const std::string_view folder : {"/usr/include/c++", "/usr/lib/gcc", "/usr/include/linux",
                                        "/usr/include/asm-generic", "/usr/include/asm"})
    if (starts_with_folder(path, folder)) return true;
  for (const std::string_view folder : {"bits", "sys", "gnu", "asm", "c++"})
    if (starts_with_folder(path, fmt::format("/usr/include/x86_64-linux-gnu/{}", folder)) ||
        starts_with_folder(path, fmt::format("/usr/include/{}", folder)))
      return true;
  constexpr std::string_view kSystem = "/usr/include/";
  return path.starts_with(kSystem) &&
         c_library_headers().contains(std::string_view(path).substr(kSystem.size()));
}

/// The names behind the colon of a make rule; "\ " is a space in a name, "\" and newline a blank.
std::vector<std::string> parse_rule(std::string_view rule) {
  std::vector<std::string> names;
  std::string name;
  const size_t colon = rule.find(": ");
  for (size_t i = colon == std::string_view::npos ? 0 : colon + 2; i <= rule.size(); ++i) {
    const char c = i < rule.size() ? rule[i] : '\n';
    const char following = i + 1 < rule.size() ? rule[i + 1] : '\n';
    if (c == '\\' && following == '\n') continue;
    if (c == '\\' && (following == ' ' || following == '#' || following == '\\')) {
      name += following;
      ++i;
    } else if (c == '$' && following == '$') {
      name += c;
      ++i;
    } else if (c == ' ' || c == '\n' || c == '\t') {
      if (!name.empty()) names.push_back(std::move(name));
      name.clear();
    } else {
      name += c;
    }
  }
  return names;
}

/// The path as an #include would spell it.
std::string as_written(const std::string& path, const Toolchain& toolchain) {
  for (const std::string& folder : {toolchain.include.string(), std::string("/usr/include")})
    if (starts_with_folder(path, folder)) return path.substr(folder.size() + 1);
  return path;
}

}  // namespace

std::optional<std::string> forbidden_include(std::string_view dependencies,
                                             const std::vector<std::string>& own,
                                             const Toolchain& toolchain) {
  for (const std::string& name : parse_rule(dependencies)) {
    if (std::find(own.begin(), own.end(), name) != own.end()) continue;
    if (!allowed(fs::path(name).lexically_normal().string(), toolchain))
      return as_written(name, toolchain);
  }
  return {};
}

std::optional<UnopenedInclude> unopened_include(const std::vector<LocatedDiagnostic>& diagnostics) {
  for (const LocatedDiagnostic& item : diagnostics) {
    const std::string& message = item.diagnostic.message;
    for (const std::string_view reason :
         {"No such file or directory", "Permission denied", "Not a directory", "Is a directory",
          "Operation not permitted", "File name too long"}) {
      const std::string ending = ": " + std::string(reason);
      if (item.diagnostic.severity == Diagnostic::Severity::error && message.ends_with(ending))
        return UnopenedInclude{message.substr(0, message.size() - ending.size()),
                               std::string(reason)};
    }
  }
  return {};
}

bool denied_header(const UnopenedInclude& include, const Toolchain& toolchain) {
  const bool denied =
      include.reason == "Permission denied" || include.reason == "Operation not permitted";
  const fs::path path = fs::path(include.name).lexically_normal();
  return denied && path.is_absolute() && allowed(path.string(), toolchain);
}

bool readable_by_all(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return !error && (status.permissions() & fs::perms::others_read) != fs::perms::none;
}

std::string include_explanation(const std::string& name) {
  return fmt::format(
      "#include of \"{}\" is not allowed: a candidate is one file and may include only CUDA's own "
      "headers (cuda_runtime.h, cuda_fp16.h, mma.h, cooperative_groups.h, cub/..., cuda/std/... "
      "but no libraries such as cuBLAS) and the C and C++ standard library",
      name.substr(0, 200));
}

}  // namespace assay
