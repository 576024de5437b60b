#include "agents/prompt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.h"
#include "base/files.h"
#include "base/install.h"
#include "evaluator/signature.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

namespace fs = std::filesystem;

/// Each template, with the values it may use besides the task's.
const std::map<std::string, std::vector<std::string>>& templates() {
  static const std::map<std::string, std::vector<std::string>> all = {
      {"system", {}},
      {"task", {}},
      {"refine", {"feedback"}},
      {"reflect", {"code", "feedback"}},
      {"retry", {"code", "feedback", "reflection"}},
      {"debug", {"code", "feedback"}},
      {"improve", {"code", "feedback", "memory"}},
      {"evolve", {"code", "feedback", "programs"}},
  };
  return all;
}

std::vector<std::string> task_keys() {
  std::vector<std::string> keys = {"id",      "title",    "statement", "signature",
                                   "tensors", "scalars",  "tolerance", "cases",
                                   "device",  "language", "fence",     "ending"};
  for (const Language language : kLanguages) keys.emplace_back(name(language));
  return keys;
}

Result<void> unknown_name(const std::string& name, const PromptValues& values,
                          const std::string& file) {
  std::vector<std::string> known;
  for (const auto& [key, value] : values) known.push_back(key);
  return Error{ErrorKind::invalid,
               fmt::format("{}: there is no value called {}{}; this template may use {}", file,
                           in_quotes(name), suggestion(name, known), listed(known))};
}

std::string tolerance_text(const Task& task) {
  if (!task.evidence.empty()) return "as the statement says";
  const ToleranceSpec& tolerance = task.tolerance;
  std::string text =
      tolerance.atol == "0" && tolerance.rtol == "0"
          ? "exact"
          : fmt::format("|got - want| <= {} + {} * |want|", tolerance.atol, tolerance.rtol);
  if (tolerance.rel_frobenius)
    text += fmt::format(", and ||got - want|| <= {} ||want||", *tolerance.rel_frobenius);
  return text;
}

}  // namespace

Result<std::string> render(const std::string& text, const PromptValues& values,
                           const std::string& file) {
  std::string result;
  std::vector<std::pair<std::string, bool>> sections;  // name, shown
  const auto shown = [&] { return sections.empty() || sections.back().second; };
  for (size_t at = 0; at < text.size();) {
    const size_t open = text.find("{{", at);
    if (shown()) result += text.substr(at, open - at);
    if (open == std::string::npos) break;
    const size_t close = text.find("}}", open);
    if (close == std::string::npos) return Error{ErrorKind::invalid, file + ": {{ without }}"};
    std::string name = text.substr(open + 2, close - open - 2);
    at = close + 2;
    const char mark = name.empty() ? '\0' : name[0];
    if (mark == '#' || mark == '/') {
      name = name.substr(1);
      if (at < text.size() && text[at] == '\n') ++at;  // a mark on a line of its own leaves none
    }
    if (mark == '/') {
      if (sections.empty() || sections.back().first != name)
        return Error{ErrorKind::invalid, fmt::format("{}: {{{{/{}}}}} closes nothing", file, name)};
      sections.pop_back();
      continue;
    }
    const auto value = values.find(name);
    if (value == values.end()) return unknown_name(name, values, file).error();
    if (mark == '#')
      sections.emplace_back(name, shown() && !value->second.empty());
    else if (shown())
      result += value->second;
  }
  if (!sections.empty())
    return Error{ErrorKind::invalid,
                 fmt::format("{}: {{{{#{}}}}} is not closed", file, sections.back().first)};
  return result;
}

Result<PromptBook> PromptBook::load(const fs::path& folder) {
  ASSIGN_OR_RETURN(const fs::path built_in, data_folder("agents/prompts"));
  PromptBook book;
  std::vector<std::string> names;
  for (const auto& [name, extra] : templates()) {
    names.push_back(name + ".txt");
    fs::path file = folder / (name + ".txt");
    if (folder.empty() || !fs::exists(file)) file = built_in / (name + ".txt");
    ASSIGN_OR_RETURN(book.texts_[name], read_file(file, 1 << 20));
    PromptValues values;
    for (const std::string& key : task_keys()) values[key] = "x";
    for (const std::string& key : extra) values[key] = "x";
    RETURN_IF_ERROR(assay::render(book.texts_[name], values, file.string()));
  }
  if (folder.empty()) return book;
  if (!fs::is_directory(folder))
    return Error{ErrorKind::usage, folder.string() + " is no folder of prompt templates"};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".txt") && std::ranges::find(names, name) == names.end())
      return Error{ErrorKind::usage,
                   fmt::format("{}: no template has this name{}; there are {}",
                               entry.path().string(), suggestion(name, names), listed(names))};
  }
  return book;
}

std::string PromptBook::render(const std::string& name, const PromptValues& values) const {
  auto text = assay::render(texts_.at(name), values, name);
  return text.ok() ? *std::move(text) : text.error().message;
}

std::string PromptBook::digest() const {
  Digest digest;
  for (const auto& [name, text] : texts_) digest.add(name).add(text);
  return digest.hex();
}

PromptValues task_values(const Task& task, const DeviceInfo& device, Language language) {
  PromptValues values = {{"id", task.id},
                         {"title", task.title},
                         {"statement", statement(task, language)},
                         {"signature", signature(task, language)},
                         {"tolerance", tolerance_text(task)},
                         {"language", std::string(title(language))},
                         {"fence", std::string(fence(language))},
                         {"ending", std::string(file_ending(language))}};
  for (const Language other : kLanguages)
    values[std::string(name(other))] = other == language ? "yes" : "";
  values["tensors"];
  for (const TensorSpec& tensor : task.tensors)
    values["tensors"] += fmt::format("- {}\n", describe(tensor, language));
  values["scalars"];
  for (const ScalarSpec& scalar : task.scalars)
    values["scalars"] += fmt::format("- {}\n", describe(scalar, language));
  values["cases"];
  for (const CaseSpec& spec : task.cases) {
    if (spec.role != Role::timed) continue;
    std::string symbols;
    for (const auto& [symbol, value] : spec.symbols)
      symbols += fmt::format("{}{} = {}", symbols.empty() ? "" : ", ", symbol, value);
    values["cases"] += fmt::format("- {}\n", symbols);
  }
  values["device"] = fmt::format(
      "{}: {} multiprocessors, {} KiB of shared memory per block ({} KiB when opted in), {} "
      "registers and {} threads per multiprocessor, {} MiB of L2 cache",
      device.arch(), device.multiprocessors, device.shared_per_block_bytes >> 10,
      device.shared_per_block_optin_bytes >> 10, device.registers_per_multiprocessor,
      device.max_threads_per_multiprocessor, device.l2_bytes >> 20);
  return values;
}

std::string plain_text(const std::string& system, const std::vector<Message>& messages) {
  std::string text = system;
  for (const Message& message : messages) {
    if (!text.empty()) text += "\n\n";
    if (messages.size() > 1)
      text += message.speaker == Speaker::user ? "## User\n\n" : "## Your earlier answer\n\n";
    text += message.text;
  }
  return text;
}

}  // namespace assay
