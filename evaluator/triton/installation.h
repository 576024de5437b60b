// Where Triton is on this machine, if it is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay::triton {

struct Installation {
  std::filesystem::path python;                // the interpreter that can import Triton
  std::string version;                         // "3.6.0"
  std::vector<std::filesystem::path> folders;  // what it reads, to be shown to a sandbox
};

/// ASSAY_TRITON_HOME (a Python environment), else the private folder that `./assay test` fills
/// (cmake/fetch_triton.sh). Asked once a process. not_found says how to get it.
Result<Installation> find_installation();

}  // namespace assay::triton
