// The files of a new task, for `assay tasks new ID`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay {

/// Where tasks and kernels live.
struct TaskRoots {
  std::filesystem::path suites;   // ".../tasks/suites"
  std::filesystem::path kernels;  // ".../reference_kernels"
};

/// Writes <suites>/<suite>/<id>/{task.toml, statement.md} and <kernels>/<id>/{reference.cu,
/// naive.cu, expert.cu}: a small working task (y = alpha * x + y) whose comments say what to edit.
/// Names are lower-case letters, digits and hyphens; the suite is created where it does not exist.
/// Returns the paths, in the order in which they should be edited. Overwrites nothing; after a
/// failure nothing is left behind.
Result<std::vector<std::filesystem::path>> create_task(const std::string& id,
                                                       const std::string& suite,
                                                       const TaskRoots& roots);

/// The same in the data folders of this installation.
Result<std::vector<std::filesystem::path>> create_task(const std::string& id,
                                                       const std::string& suite);

}  // namespace assay
