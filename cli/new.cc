// assay new: the file that an author of a candidate begins with.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/language_option.h"
#include "cli/messages.h"
#include "evaluator/skeleton.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

struct NewArguments {
  std::string task;
  std::string file;
  Language language = Language::cuda;
};

Result<int> write_skeleton(const NewArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const Task task, find_task(catalogue, arguments.task));
  const std::string_view ending = file_ending(arguments.language);
  const fs::path file = arguments.file.empty() ? task.id + std::string(ending) : arguments.file;
  if (file.extension() != ending)
    return Error{ErrorKind::usage,
                 fmt::format("{} is to hold {}, whose files end in {} (--language chooses)",
                             file.string(), title(arguments.language), ending)};
  if (fs::exists(file))
    return Error{ErrorKind::usage,
                 fmt::format("{} exists already; name another file", file.string())};
  RETURN_IF_ERROR(write_file(file, skeleton(task, arguments.language)));
  fmt::print("{0}\nassay eval {1} {0} judges it\n", file.string(), arguments.task);
  return kEvaluated;
}

}  // namespace

void add_new_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<NewArguments>();
  CLI::App* command = app.add_subcommand("new", "A candidate of your own to begin with.");
  command->footer("A new task is made by assay tasks new.");
  command->add_option("task", arguments->task, "Task id, or the path of a task folder")->required();
  command->add_option("file", arguments->file, "File to write; by default TASK.cu or TASK.py here");
  add_language_option(*command, arguments->language);
  command->callback([arguments, &status] {
    const Result<int> result = write_skeleton(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
