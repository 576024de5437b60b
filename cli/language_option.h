// The option --language, which the commands that ask for candidates share.
#pragma once

#include <CLI/CLI.hpp>

#include "evaluator/language.h"

namespace assay {

/// `language` is the default, and must outlive the parsing.
void add_language_option(CLI::App& command, Language& language);

}  // namespace assay
