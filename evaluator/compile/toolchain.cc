#include "evaluator/compile/toolchain.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "base/files.h"
#include "base/install.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

/// Standard output of a trusted program, empty when it cannot run. Arguments are fixed by us.
std::string output_of(const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got = 0; error == 0 && (got = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(got));
  close(ends[0]);
  if (error == 0) waitpid(pid, nullptr, 0);
  return text;
}

/// The first of `choices` below `root` that exists, resolved; empty when none does.
fs::path first_of(const fs::path& root, std::initializer_list<const char*> choices) {
  for (const char* choice : choices) {
    std::error_code error;
    const fs::path path = fs::canonical(root / choice, error);
    if (!error) return path;
  }
  return {};
}

fs::path on_path(const std::string& program) {
  const char* folders = std::getenv("PATH");
  std::string rest = folders ? folders : "/usr/local/bin:/usr/bin:/bin";
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const fs::path candidate = fs::path(rest.substr(0, colon)) / program;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    if (candidate.is_absolute() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

/// The CUDA home of an nvcc found on PATH, which may be a link to the real one.
fs::path home_of(const fs::path& nvcc) {
  std::error_code error;
  const fs::path real = fs::canonical(nvcc, error);
  return error ? fs::path{} : real.parent_path().parent_path();
}

Result<void> read_versions(Toolchain& toolchain) {
  const std::string text = output_of({toolchain.nvcc.string(), "--version"});
  const size_t at = text.rfind(", V");
  if (at == std::string::npos ||
      std::sscanf(text.c_str() + at, ", V%d.%d.%d", &toolchain.cuda_major, &toolchain.cuda_minor,
                  &toolchain.cuda_build) != 3)
    return Error{ErrorKind::not_found,
                 fmt::format("{} --version does not tell a version", toolchain.nvcc.string())};
  if (toolchain.cuda_major != 13)
    return Error{ErrorKind::not_found,
                 fmt::format("{} is of CUDA {}.{}; assay needs CUDA 13", toolchain.nvcc.string(),
                             toolchain.cuda_major, toolchain.cuda_minor)};
  std::string host = output_of({toolchain.host_compiler.string(), "-dumpfullversion"});
  while (!host.empty() && std::isspace(static_cast<unsigned char>(host.back()))) host.pop_back();
  if (host.empty())
    return Error{ErrorKind::not_found,
                 fmt::format("{} does not run", toolchain.host_compiler.string())};
  toolchain.host_version = host;
  return {};
}

}  // namespace

std::string Toolchain::description() const {
  return fmt::format("nvcc {}.{}.{}, nvrtc {}, g++ {}", cuda_major, cuda_minor, cuda_build,
                     nvrtc.empty() ? "absent" : fmt::format("{}.{}", cuda_major, cuda_minor),
                     host_version);
}

int Toolchain::gnu_version() const {
  int major = 0, minor = 0, patch = 0;
  std::sscanf(host_version.c_str(), "%d.%d.%d", &major, &minor, &patch);
  return major * 10000 + minor * 100 + patch;
}

Result<Toolchain> open_toolchain(const fs::path& root) {
  Toolchain toolchain;
  std::error_code error;
  toolchain.root = fs::canonical(root, error);
  if (error) return Error{ErrorKind::not_found, fmt::format("{}: no such folder", root.string())};
  const auto require = [&](fs::path& member, std::initializer_list<const char*> choices) {
    member = first_of(toolchain.root, choices);
    return member.empty() ? fmt::format("{}: {} is missing", root.string(), *choices.begin())
                          : std::string();
  };
  for (const std::string& missing :
       {require(toolchain.nvcc, {"bin/nvcc"}), require(toolchain.cudafe, {"bin/cudafe++"}),
        require(toolchain.ptxas, {"bin/ptxas"}), require(toolchain.cicc, {"nvvm/bin/cicc"}),
        require(toolchain.include, {"include", "targets/x86_64-linux/include"}),
        require(toolchain.runtime, {"lib64/libcudart.so.13", "lib/libcudart.so.13",
                                    "targets/x86_64-linux/lib/libcudart.so.13"})})
    if (!missing.empty()) return Error{ErrorKind::not_found, missing};
  // A folder of links to the headers would do, but g++ names some by their own path in its lists of
  // what was included (the shorter one counts): only the folder that holds them names all alike.
  const fs::path header = fs::canonical(toolchain.include / "cuda_runtime.h", error);
  if (!error) toolchain.include = header.parent_path();
  if (error || !fs::exists(toolchain.include / "cccl"))
    return Error{ErrorKind::not_found,
                 fmt::format("{}: cuda_runtime.h or cccl/ is missing", toolchain.include.string())};
  toolchain.nvrtc = first_of(toolchain.root, {"lib64/libnvrtc.so.13", "lib/libnvrtc.so.13",
                                              "targets/x86_64-linux/lib/libnvrtc.so.13"});
  toolchain.host_compiler = first_of("/usr/bin", {"g++"});
  if (toolchain.host_compiler.empty())
    return Error{ErrorKind::not_found, "/usr/bin/g++ is missing: install the Debian package g++"};
  RETURN_IF_ERROR(read_versions(toolchain));
  return toolchain;
}

Result<Toolchain> find_toolchain() {
  std::vector<fs::path> places;
  if (const char* home = std::getenv("ASSAY_CUDA_HOME"); home && *home) {
    places.emplace_back(home);
  } else {
    if (const fs::path nvcc = on_path("nvcc"); !nvcc.empty()) places.push_back(home_of(nvcc));
    places.emplace_back("/usr/local/cuda");
    places.push_back(cache_folder() / "cuda");
  }
  std::string tried;
  for (const fs::path& place : places) {
    auto toolchain = open_toolchain(place);
    if (toolchain.ok()) return toolchain;
    tried += "\n  " + toolchain.error().message;
  }
  return Error{ErrorKind::not_found,
               "no usable CUDA 13 toolkit; looked in:" + tried +
                   "\nSet ASSAY_CUDA_HOME, put nvcc on PATH, or run cmake/fetch_cuda.sh " +
                   (cache_folder() / "cuda").string()};
}

}  // namespace assay
