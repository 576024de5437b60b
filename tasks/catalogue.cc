// All tasks of all suites.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/install.h"
#include "tasks/nearest.h"
#include "tasks/task.h"
#include "tasks/toml_reader.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

/// suite.toml: the suite's words about itself, and tasks it borrows from other suites.
struct SuiteFile {
  Suite about;
  std::vector<std::string> borrowed;
};

Result<SuiteFile> read_suite_file(const fs::path& path) {
  ASSIGN_OR_RETURN(const std::string text, read_file(path, 1 << 20));
  Problems problems;
  SuiteFile file;
  try {
    const toml::table root = toml::parse(text);
    TomlReader reader(problems, root, "");
    file.about.title = reader.text("title", TomlReader::Presence::required).value_or("");
    file.about.description =
        reader.text("description", TomlReader::Presence::optional).value_or("");
    file.borrowed = reader.expressions("tasks", TomlReader::Presence::optional)
                        .value_or(std::vector<std::string>());
    reader.finish();
  } catch (const toml::parse_error& error) {
    problems.add(static_cast<int>(error.source().begin.line), "",
                 fmt::format("is not TOML: {}", error.description()));
  }
  if (!problems.none()) return problems.error(path);
  return file;
}

/// Folders in `root`, sorted by name; names that start with a dot are left out.
std::vector<fs::path> folders_in(const fs::path& root) {
  std::vector<fs::path> result;
  std::error_code failed;
  for (fs::directory_iterator entry(root, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->path().filename().string().starts_with("."))
      result.push_back(entry->path());
  }
  std::sort(result.begin(), result.end());
  return result;
}

class CatalogueReader {
 public:
  Catalogue run(const fs::path& root) {
    const std::vector<fs::path> suites = folders_in(root);
    for (const fs::path& suite : suites) read_tasks(suite);
    for (const fs::path& suite : suites) read_suite(suite);
    return std::move(catalogue_);
  }

 private:
  void read_tasks(const fs::path& suite) {
    std::vector<std::string>& ids = catalogue_.suites[suite.filename().string()];
    for (const fs::path& folder : folders_in(suite)) {
      Result<Task> task = load_task(folder);
      if (!task) {
        catalogue_.errors.push_back(task.error());
      } else if (const auto [place, fresh] = folders_.emplace(task->id, folder); !fresh) {
        catalogue_.errors.push_back(
            Error{ErrorKind::invalid,
                  fmt::format("{}: the id {} is that of {} too; ids must differ across all suites",
                              (folder / "task.toml").string(), task->id, place->second.string())});
      } else {
        ids.push_back(task->id);
        catalogue_.tasks.push_back(*std::move(task));
      }
    }
  }

  void read_suite(const fs::path& suite) {
    const std::string name = suite.filename().string();
    catalogue_.about[name].title = name;
    const fs::path path = suite / "suite.toml";
    std::error_code ignored;
    if (!fs::exists(path, ignored)) return;
    const Result<SuiteFile> file = read_suite_file(path);
    if (!file) return catalogue_.errors.push_back(file.error());
    catalogue_.about[name] = file->about;
    std::vector<std::string>& ids = catalogue_.suites[name];
    for (const std::string& id : file->borrowed) {
      if (!folders_.contains(id)) {
        catalogue_.errors.push_back(
            Error{ErrorKind::not_found,
                  fmt::format("{}: tasks: no suite has a task {}", path.string(), in_quotes(id))});
      } else if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
        ids.push_back(id);
      }
    }
  }

  Catalogue catalogue_;
  std::map<std::string, fs::path> folders_;  // of every task, by id
};

}  // namespace

Result<Catalogue> load_catalogue(const fs::path& root) {
  std::error_code ignored;
  if (!fs::is_directory(root, ignored))
    return Error{ErrorKind::not_found,
                 fmt::format("{} is not a folder; it should hold suites of tasks", root.string())};
  return CatalogueReader().run(root);
}

Result<Catalogue> load_catalogue() {
  ASSIGN_OR_RETURN(const fs::path root, data_folder("tasks/suites"));
  return load_catalogue(root);
}

Result<Task> find_task(const Catalogue& catalogue, const std::string& id) {
  for (const Task& task : catalogue.tasks)
    if (task.id == id) return task;
  std::error_code ignored;
  if (fs::exists(fs::path(id) / "task.toml", ignored)) return load_task(id);
  // The folder is there, but broken: say how.
  for (const Error& error : catalogue.errors)
    if (error.message.find("/" + id + "/task.toml") != std::string::npos) return error;
  std::vector<std::string> ids;
  for (const Task& task : catalogue.tasks) ids.push_back(task.id);
  const std::vector<std::string> best = nearest(id, ids, 3);
  return Error{
      ErrorKind::not_found,
      fmt::format("there is no task {} and no task folder of that name; {}", in_quotes(id),
                  best.empty() ? "see assay tasks list" : "the nearest ids are: " + listed(best))};
}

}  // namespace assay
