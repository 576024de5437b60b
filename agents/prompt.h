// Prompts from templates in files: agents/prompts/*.txt, or a user's copies of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "agents/model/model.h"
#include "base/result.h"
#include "evaluator/device/info.h"
#include "evaluator/language.h"
#include "tasks/task.h"

namespace assay {

using PromptValues = std::map<std::string, std::string>;

/// {{name}} becomes the value; {{#name}}...{{/name}} stays only where the value is not empty. Names
/// without a value are errors (invalid) that list the known ones; `file` is for messages. Values
/// are never looked into, so a candidate's text cannot smuggle in a placeholder.
Result<std::string> render(const std::string& text, const PromptValues& values,
                           const std::string& file);

/// All templates of a run, read once.
class PromptBook {
 public:
  /// Files of `folder` go before the built-in ones of the same name; a file there whose name is
  /// not a template's is an error, so that a misspelt one is not ignored. Every template is
  /// rendered once, so that a broken one shows now.
  static Result<PromptBook> load(const std::filesystem::path& folder = {});

  /// The template of this name ("task", "refine", ...) with these values. A failure was ruled out
  /// by load().
  std::string render(const std::string& name, const PromptValues& values) const;

  /// SHA-256 of all templates: part of a run's identity.
  std::string digest() const;

 private:
  std::map<std::string, std::string> texts_;
};

/// What the templates may say about a task: title, statement, signature, tensors, scalars,
/// tolerance, cases, device. And about the language that candidates are asked for in: `language`
/// ("CUDA C++"), `fence` (of its code blocks), `ending` (of its files), and its own name ("cuda"),
/// the one of these names that is not empty.
PromptValues task_values(const Task& task, const DeviceInfo& device, Language language);

/// System text and messages as one text, for programs and for people.
std::string plain_text(const std::string& system, const std::vector<Message>& messages);

}  // namespace assay
