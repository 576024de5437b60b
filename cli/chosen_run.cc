#include "cli/chosen_run.h"

#include <fmt/format.h>

#include <filesystem>

#include "tasks/nearest.h"

namespace assay {

Result<ReportRun> chosen_run(const std::string& text) {
  const size_t at = text.rfind('@');
  const bool named = at != std::string::npos && !std::filesystem::exists(text);
  const std::string folder = named ? text.substr(0, at) : text;
  const std::string agent = named ? text.substr(at + 1) : "";
  ASSIGN_OR_RETURN(ReportData data, load_report({folder}));
  std::vector<std::string> labels;
  std::vector<ReportRun*> found;
  for (ReportRun& run : data.runs) {
    labels.push_back(run.label);
    if (agent.empty() || run.label == agent || run.run.agent == agent) found.push_back(&run);
  }
  if (found.size() == 1) {
    found[0]->label += " (" + folder + ")";
    return std::move(*found[0]);
  }
  return Error{ErrorKind::usage,
               fmt::format("{} {}; write {}@AGENT with one of: {}", folder,
                           found.empty() ? "has no such agent" : "holds several agents", folder,
                           listed(labels))};
}

}  // namespace assay
