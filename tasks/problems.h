// Problems found in one task file, reported together.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assay {

/// Collects complaints about a file. Equal complaints about one line are kept once.
class Problems {
 public:
  /// `text` says what is wrong and what is allowed; `key` names the entry, for example
  /// "tensor x: shape".
  void add(int line, std::string_view key, std::string_view text);

  bool none() const { return found_.empty(); }

  /// "path:LINE: key: text", one problem a line, in the order of the file; at most 20.
  Error error(const std::filesystem::path& path) const;

 private:
  struct Problem {
    int line;  // from 1; 0: the file as a whole
    std::string text;
    bool operator==(const Problem&) const = default;
  };
  std::vector<Problem> found_;
};

}  // namespace assay
