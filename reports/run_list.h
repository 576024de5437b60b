// The runs under a folder, one line each, without reading their samples.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "reports/run_store.h"

namespace assay {

struct ListedRun {
  std::filesystem::path folder;
  RunRow run;
  RunTally tally;
};

struct RunList {
  std::vector<ListedRun> runs;          // by folder, then in the order they were started
  std::vector<std::string> unreadable;  // folders whose store cannot be read, with the reason
};

/// The runs in the folders directly under `folder`; stores without runs of agents are left out.
/// not_found where there is no such folder.
Result<RunList> list_runs(const std::filesystem::path& folder);

/// The run directory under `folder` that was written to last. not_found where there is none.
Result<std::filesystem::path> newest_run(const std::filesystem::path& folder);

/// `directory, agent, suite, language, loop, device, arch, samples, done, failed, correct,
/// started_at, charged_seconds, stopped`.
nlohmann::json to_json(const ListedRun& run);

}  // namespace assay
