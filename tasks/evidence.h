// Evidence: how outputs are judged that are not unique, such as eigenvectors. The task has a
// trusted kernel, evidence.cu, which computes from a run's inputs and outputs what must come out
// the same for every right answer: residuals, sorted values, counts of broken rules. The evidence
// of a candidate's run is compared with that of the reference's; of the outputs themselves only
// where they are finite. To evidence.cu a candidate's outputs are data: any bytes at all.
#pragma once

#include <vector>

#include "tasks/task.h"

namespace assay {

/// The task that evidence.cu solves: inputs and outputs are its inputs, the evidence its outputs.
Task evidence_task(const Task& task);
BoundCase evidence_case(const BoundCase& bound);

/// The tensors of solve() in their order, then the evidence.
std::vector<BoundTensor> with_evidence(const BoundCase& bound);

}  // namespace assay
