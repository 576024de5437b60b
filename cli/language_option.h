// The option --language, which the commands that ask for candidates share.
#pragma once

#include <CLI/CLI.hpp>

#include "evaluator/language.h"

namespace assay {

/// `language` must outlive the parsing. The option, for those who ask whether it was given.
CLI::Option* add_language_option(CLI::App& command, Language& language);

}  // namespace assay
