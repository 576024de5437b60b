// Binding with every problem collected: what bind() and the loader share.
#pragma once

#include "tasks/problems.h"
#include "tasks/task.h"

namespace assay {

/// As bind(). Complaints go to `problems`; the result is complete only where none was added.
BoundCase bind_collecting(const Task& task, const CaseSpec& spec, Problems& problems);

}  // namespace assay
