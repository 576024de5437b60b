// What a wrong output looks like: a hint at the likely mistake.
#pragma once

#include <string>

#include "evaluator/check/comparison.h"
#include "tasks/task.h"

namespace assay {

/// A part of a sentence such as "all wrong elements lie at [96..99, *]" or "it looks transposed";
/// empty where no pattern tells. `got` and `want` are the tensor's bytes, `comparison` is theirs
/// and has mismatches. Names no expected value. Tensors above 2^26 elements are not looked at.
std::string diagnose(const BoundTensor& tensor, const std::string& got, const std::string& want,
                     const Comparison& comparison);

/// Whether every element is zero.
bool all_zero(const BoundTensor& tensor, const std::string& bytes);

}  // namespace assay
