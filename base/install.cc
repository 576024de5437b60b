#include "base/install.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

namespace assay {

namespace fs = std::filesystem;

static fs::path environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value ? fs::path(value) : fs::path();
}

fs::path program_folder() {
  if (const fs::path folder = environment("ASSAY_BIN"); !folder.empty()) return folder;
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path();
}

Result<fs::path> installed_file(std::string_view relative) {
  const fs::path path = (program_folder() / ".." / relative).lexically_normal();
  if (fs::exists(path)) return path;
  return Error{
      ErrorKind::not_found,
      fmt::format("assay's own file {} is missing; build or install assay again", path.string())};
}

Result<fs::path> data_folder(std::string_view relative) {
  std::string tried;
  for (const fs::path& root :
       {environment("ASSAY_HOME"), (program_folder() / "../share/assay").lexically_normal(),
        fs::path(ASSAY_SOURCE_DIR)}) {
    if (root.empty()) continue;
    const fs::path path = root / relative;
    if (fs::is_directory(path)) return path;
    tried += (tried.empty() ? "" : ", ") + path.string();
  }
  return Error{ErrorKind::not_found,
               fmt::format("assay's data folder {} was not found (looked in {}); set ASSAY_HOME "
                           "to the folder that holds it",
                           relative, tried)};
}

fs::path cache_folder() {
  if (const fs::path folder = environment("ASSAY_CACHE"); !folder.empty()) return folder;
  if (const fs::path folder = environment("XDG_CACHE_HOME"); !folder.empty())
    return folder / "assay";
  const fs::path home = environment("HOME");
  return (home.empty() ? fs::temp_directory_path() : home / ".cache") / "assay";
}

}  // namespace assay
