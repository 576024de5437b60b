#include "reports/run_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace assay {

namespace fs = std::filesystem;

namespace {

Result<std::vector<fs::path>> stores_under(const fs::path& folder) {
  std::error_code code;
  std::vector<fs::path> folders;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code))
    if (std::error_code ignored; fs::exists(entry->path() / "results.sqlite", ignored))
      folders.push_back(entry->path());
  if (code)
    return Error{ErrorKind::not_found, folder.string() + ": " + code.message() +
                                           "; runs are kept in ./runs unless --out says otherwise"};
  std::ranges::sort(folders);
  return folders;
}

Result<std::vector<ListedRun>> runs_in(const fs::path& folder) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::open(folder));
  const RunStore runs(*store);
  ASSIGN_OR_RETURN(const std::vector<RunRow> rows, runs.runs());
  ASSIGN_OR_RETURN(const auto tallies, runs.tallies());
  std::vector<ListedRun> listed;
  for (const RunRow& row : rows) {
    ListedRun& run = listed.emplace_back(ListedRun{folder, row, {}});
    if (const auto found = tallies.find(row.id); found != tallies.end()) run.tally = found->second;
  }
  return listed;
}

}  // namespace

Result<RunList> list_runs(const fs::path& folder) {
  ASSIGN_OR_RETURN(const std::vector<fs::path> folders, stores_under(folder));
  RunList list;
  for (const fs::path& path : folders) {
    Result<std::vector<ListedRun>> runs = runs_in(path);
    if (runs.ok())
      std::ranges::move(*runs, std::back_inserter(list.runs));
    else
      list.unreadable.push_back(path.string() + ": " + runs.error().message);
  }
  return list;
}

Result<fs::path> newest_run(const fs::path& folder) {
  ASSIGN_OR_RETURN(const std::vector<fs::path> folders, stores_under(folder));
  const auto written = [](const fs::path& path) {
    std::error_code code;
    return fs::last_write_time(path / "results.sqlite", code);
  };
  const auto newest = std::ranges::max_element(folders, {}, written);
  if (newest == folders.end())
    return Error{ErrorKind::not_found, folder.string() + " holds no run directory"};
  return *newest;
}

nlohmann::json to_json(const ListedRun& listed) {
  const RunRow& run = listed.run;
  return {{"directory", listed.folder.string()},
          {"agent", run.agent},
          {"suite", run.suite},
          {"language", name(language_of(run))},
          {"loop", run.loop},
          {"device", run.device_id},
          {"arch", run.arch},
          {"samples", listed.tally.samples},
          {"done", listed.tally.done},
          {"failed", listed.tally.failed},
          {"correct", listed.tally.correct},
          {"started_at", run.started_at},
          {"charged_seconds", run.charged_seconds},
          {"stopped", run.stopped}};
}

}  // namespace assay
