// The file that an author begins with.
#pragma once

#include <string>

#include "evaluator/language.h"
#include "tasks/task.h"

namespace assay {

/// A candidate that compiles and launches one kernel, which writes nothing yet: its verdict is
/// wrong_output. The arguments are listed in a comment.
std::string skeleton(const Task& task, Language language);

}  // namespace assay
