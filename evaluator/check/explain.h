// Sentences about wrong outputs, fit for the candidate's author: where and by how much, never what
// was expected.
#pragma once

#include <string>
#include <string_view>

#include "evaluator/check/comparison.h"
#include "tasks/task.h"

namespace assay {

/// "[3, 17]" for a flat index of a tensor.
std::string coordinates(const BoundTensor& tensor, uint64_t index);

/// "output c: 1 of 1000 elements are outside the tolerance (allowed: ...); first at [999] ...", and
/// the hint (diagnosis.h), if there is one. `kind`: what the tensor is called, here and below.
std::string explain_mismatch(const BoundTensor& tensor, const Comparison& comparison,
                             const std::string& hint = "", std::string_view kind = "output");

std::string explain_unwritten(const BoundTensor& tensor, const Unwritten& unwritten);

/// `comparison` is that of two runs on the same input.
std::string explain_difference(const BoundTensor& tensor, const Comparison& comparison,
                               std::string_view kind = "output");

std::string explain_red_zone(const RedZoneDamage& damage);

}  // namespace assay
