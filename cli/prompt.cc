// assay prompt: what an agent is sent first for a task.
#include "agents/prompt.h"

#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/language_option.h"
#include "cli/messages.h"

namespace assay {

namespace {

struct PromptArguments {
  std::string task;
  std::string arch = "sm_90";
  std::string prompts;
  Language language = Language::cuda;
};

Result<int> print_prompt(const PromptArguments& arguments) {
  ASSIGN_OR_RETURN(const Catalogue catalogue, load_catalogue());
  ASSIGN_OR_RETURN(const Task task, find_task(catalogue, arguments.task));
  ASSIGN_OR_RETURN(const PromptBook book, PromptBook::load(arguments.prompts));
  const PromptValues values =
      task_values(task, default_device_info(arguments.arch), arguments.language);
  fmt::print("{}", plain_text(book.render("system", values),
                              {{Speaker::user, book.render("task", values)}}));
  return kEvaluated;
}

}  // namespace

void add_prompt_command(CLI::App& app, int& status) {
  const auto arguments = std::make_shared<PromptArguments>();
  CLI::App* command = app.add_subcommand("prompt", "Print what an agent is sent for a task.");
  command->add_option("task", arguments->task, "Task id, or the path of a task folder")->required();
  add_language_option(*command, arguments->language);
  command->add_option("--arch", arguments->arch, "Architecture whose facts are told")
      ->capture_default_str();
  command->add_option("--prompts", arguments->prompts,
                      "Folder with changed copies of prompt templates");
  command->callback([arguments, &status] {
    const Result<int> result = print_prompt(*arguments);
    status = result.ok() ? *result : report(result.error());
  });
}

}  // namespace assay
