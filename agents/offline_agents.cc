#include "agents/offline_agents.h"

#include <fmt/format.h>

#include "agents/http/json.h"
#include "base/files.h"
#include "evaluator/evaluate.h"

namespace assay {

namespace {

Generation answered(std::string text) {
  Generation generation;
  generation.answer.text = std::move(text);
  generation.answer.finish = Finish::stop;
  generation.cost_dollars = 0;
  return generation;
}

Generation refused(const char* code, std::string message) {
  Generation generation;
  generation.failure.emplace();
  generation.failure->failure = FailureClass::fail_sample;
  generation.failure->code = code;
  generation.failure->message = std::move(message);
  return generation;
}

std::string fenced(const std::string& code, Language language) {
  return fmt::format("```{}\n{}\n```\n", fence(language), code);
}

struct Ending {
  std::string_view text;
  std::optional<Language> language;  // where the whole file is code
};

/// Of a task's files, in the order in which they are looked for.
std::vector<Ending> endings(Language asked) {
  std::vector<Ending> all = {{file_ending(asked), asked}};
  for (const Language other : kLanguages)
    if (other != asked) all.push_back({file_ending(other), other});
  all.insert(all.end(), {{".md", {}}, {".txt", {}}});
  return all;
}

}  // namespace

std::string ReferenceAgent::settings_json() const { return json_text({{"kernel", kernel_}}); }

void ReferenceAgent::generate(GenerationRequest request, std::function<void(Generation)> done) {
  const auto kernel = Evaluator::reference_kernel(*request.task, kernel_, request.language);
  done(kernel.ok() ? answered(fenced(kernel->source, request.language))
                   : refused("not_found", kernel.error().message));
}

Result<std::unique_ptr<FileAgent>> FileAgent::create(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder))
    return Error{
        ErrorKind::usage,
        fmt::format("the agent file:{} names no folder; it must hold <task>.cu or .py files",
                    folder.string())};
  return std::unique_ptr<FileAgent>(new FileAgent(folder));
}

std::string FileAgent::settings_json() const { return json_text({{"folder", folder_.string()}}); }

void FileAgent::generate(GenerationRequest request, std::function<void(Generation)> done) {
  const std::string& task = request.task->id;
  for (const std::string& stem : {fmt::format("{}.{}", task, request.sample), task})
    for (const auto& [ending, language] : endings(request.language)) {
      const auto path = folder_ / fmt::format("{}{}", stem, ending);
      if (!std::filesystem::exists(path)) continue;
      auto text = read_file(path, size_t{64} << 20);
      if (!text.ok()) return done(refused("unreadable", text.error().message));
      return done(answered(language ? fenced(*text, *language) : *std::move(text)));
    }
  done(refused("not_found",
               fmt::format("{} has no {}.cu, .py, .md or .txt", folder_.string(), task)));
}

}  // namespace assay
