#include "cli/language_option.h"

#include <string>
#include <vector>

namespace assay {

void add_language_option(CLI::App& command, Language& language) {
  std::vector<std::string> names;
  for (const Language each : kLanguages) names.emplace_back(name(each));
  command
      .add_option_function<std::string>(
          "--language",
          [&language](const std::string& given) {
            language = language_from_name(given).value_or(language);
          },
          "What candidates are written in")
      ->check(CLI::IsMember(names))
      ->default_str(std::string(name(language)));
}

}  // namespace assay
