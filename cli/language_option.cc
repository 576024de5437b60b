#include "cli/language_option.h"

#include <map>
#include <string>

namespace assay {

CLI::Option* add_language_option(CLI::App& command, Language& language) {
  std::map<std::string, Language> names;
  for (const Language each : kLanguages) names.emplace(name(each), each);
  return command
      .add_option("--language", language, "What candidates are written in: cuda or triton")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->type_name("TEXT")
      ->default_str(std::string(name(language)));
}

}  // namespace assay
