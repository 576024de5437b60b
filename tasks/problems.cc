#include "tasks/problems.h"

#include <fmt/format.h>

#include <algorithm>

namespace assay {

constexpr size_t kShown = 20;

void Problems::add(int line, std::string_view key, std::string_view text) {
  Problem problem{line, key.empty() ? std::string(text) : fmt::format("{}: {}", key, text)};
  if (std::find(found_.begin(), found_.end(), problem) == found_.end())
    found_.push_back(std::move(problem));
}

Error Problems::error(const std::filesystem::path& path) const {
  std::vector<Problem> sorted = found_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Problem& a, const Problem& b) { return a.line < b.line; });
  std::string message;
  for (size_t i = 0; i < std::min(sorted.size(), kShown); ++i) {
    if (i > 0) message += '\n';
    message += sorted[i].line > 0
                   ? fmt::format("{}:{}: {}", path.string(), sorted[i].line, sorted[i].text)
                   : fmt::format("{}: {}", path.string(), sorted[i].text);
  }
  if (sorted.size() > kShown)
    message += fmt::format("\n{}: and {} more problems", path.string(), sorted.size() - kShown);
  return Error{ErrorKind::invalid, std::move(message)};
}

}  // namespace assay
