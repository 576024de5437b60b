#include "evaluator/triton/installation.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/install.h"

namespace assay::triton {
namespace {

namespace fs = std::filesystem;

/// Version and folders as the interpreter itself knows them. Importing all of Triton takes a
/// second; its version stands in the package's metadata.
constexpr const char* kQuestion =
    "import importlib.metadata, importlib.util, json, os, sys; "
    "spec = importlib.util.find_spec('triton'); "
    "print(json.dumps({'version': importlib.metadata.version('triton'), 'folders': "
    "[sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(spec.origin))]}))";

fs::path home() {
  const char* chosen = std::getenv("ASSAY_TRITON_HOME");
  return chosen != nullptr && *chosen != '\0' ? fs::path(chosen) : cache_folder() / "triton";
}

Error missing(const fs::path& folder, const std::string& what) {
  return {ErrorKind::not_found,
          fmt::format("Triton is not installed ({}: {}): run cmake/fetch_triton.sh {}, or set "
                      "ASSAY_TRITON_HOME to a Python environment that has it",
                      folder.string(), what, (cache_folder() / "triton").string())};
}

std::string output_of(const std::string& command) {
  std::string text;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return text;
  std::array<char, 4096> buffer{};
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), got);
  return text;
}

bool below_usr(const fs::path& folder) { return folder.string().starts_with("/usr/"); }

Result<Installation> look() {
  const fs::path folder = home();
  const fs::path python = folder / "bin" / "python";
  std::error_code error;
  if (!fs::exists(python, error)) return missing(folder, "no bin/python");
  if (folder.string().find('\'') != std::string::npos) return missing(folder, "quotes in its path");
  const std::string text =
      output_of(fmt::format("'{}' -c \"{}\" 2> /dev/null", python.string(), kQuestion));
  const nlohmann::json answer = nlohmann::json::parse(text, nullptr, false);
  if (!answer.is_object()) return missing(folder, "its Python cannot import Triton");
  Installation installation{fs::absolute(python), answer.at("version"), {}};
  for (const fs::path path : answer.at("folders"))
    if (path != "/usr" && !below_usr(path)) installation.folders.push_back(path);
  std::vector<fs::path>& folders = installation.folders;
  std::sort(folders.begin(), folders.end());
  const auto inside = [](const fs::path& outer, const fs::path& path) {
    return outer == path || path.string().starts_with(outer.string() + "/");
  };
  folders.erase(std::unique(folders.begin(), folders.end(), inside), folders.end());
  return installation;
}

}  // namespace

Result<Installation> find_installation() {
  static const Result<Installation> found = look();
  return found;
}

}  // namespace assay::triton
