// A task in the words of the language that a candidate is written in.
#pragma once

#include <string>
#include <string_view>

#include "evaluator/language.h"
#include "tasks/task.h"

namespace assay {

/// What a candidate must define: Task::signature(), or for Triton `def solve(x, y, n):`.
std::string signature(const Task& task, Language language);

/// The statement with that signature in place of the one of CUDA C++, which statements are written
/// with.
std::string statement(const Task& task, Language language);

/// The arguments of solve() by name: Task's names, or for Triton such as Python takes ("in_" for
/// "in"), separated by commas.
std::string argument_names(const Task& task, Language language);

/// An element type: "f32", or for Triton what the tensor's dtype says, "torch.float32".
std::string_view dtype_name(Dtype dtype, Language language);

/// One argument in one line: "x (in): f32[rows, cols], the rows"; "n: i32, number of elements", or
/// for Triton "n: int, number of elements".
std::string describe(const TensorSpec& tensor, Language language);
std::string describe(const ScalarSpec& scalar, Language language);

}  // namespace assay
