// Where assay's own programs, libraries and data are: beside the running program, in the build
// tree and in an installed folder alike.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"

namespace assay {

/// The folder of the programs (assay, assay-recorder, ...): ASSAY_BIN if set, else that of the
/// running program.
std::filesystem::path program_folder();

/// The path of a program or library of ours, for example "bin/assay-recorder" or
/// "lib/libcudart.so.13". not_found says where it was looked for.
Result<std::filesystem::path> installed_file(std::string_view relative);

/// The path of a data folder such as "tasks/suites" or "reference_kernels": under ASSAY_HOME if
/// set, else <prefix>/share/assay, else the source tree this binary was built from.
Result<std::filesystem::path> data_folder(std::string_view relative);

/// Where compiled artifacts are cached: ASSAY_CACHE, else XDG_CACHE_HOME/assay, else
/// ~/.cache/assay. Not created.
std::filesystem::path cache_folder();

}  // namespace assay
