// A candidate whose verdict is known, and stated in its header (tests/candidates/README.md).
#pragma once

#include <filesystem>
#include <sstream>
#include <string>

#include "base/files.h"

namespace assay {

struct Known {
  std::string file;
  std::string task;
  std::string expect;
  std::string reason;
  std::string says;
  std::string only_case;
  std::string gap;  // why the verdict is known to be another one for now
  std::string source;
  /// What hardware, which sees less, may make of it instead: "outcome reason", several with " | ".
  std::string on_gpu;

  /// Whether "outcome reason" (or "correct") is as it should be on a GPU.
  bool allows_on_gpu(const std::string& verdict) const {
    const std::string usual = reason.empty() ? expect : expect + " " + reason;
    const std::string allowed = " | " + (on_gpu.empty() ? usual : on_gpu) + " | ";
    return allowed.find(" | " + verdict + " | ") != std::string::npos;
  }
};

/// Reads the header lines at the top of a candidate: "// key: value", in Python "# key: value".
inline Known read_known(const std::filesystem::path& path) {
  Known known;
  known.file = path.filename().string();
  known.source = *read_file(path);
  const std::string mark = path.extension() == ".py" ? "# " : "// ";
  std::istringstream lines(known.source);
  for (std::string line; std::getline(lines, line) && line.starts_with(mark);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(mark.size(), colon - mark.size());
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (key == "task") known.task = value;
    if (key == "expect") known.expect = value;
    if (key == "reason") known.reason = value;
    if (key == "says") known.says = value;
    if (key == "case") known.only_case = value;
    if (key == "gap") known.gap = value;
    if (key == "cuda") known.on_gpu = value;
  }
  return known;
}

}  // namespace assay
