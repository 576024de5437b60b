#include "tasks/evidence.h"

namespace assay {

namespace {

/// `inputs` as inputs, then `outputs`.
template <typename Tensor>
std::vector<Tensor> as_inputs_of(std::vector<Tensor> inputs, const std::vector<Tensor>& outputs) {
  for (Tensor& tensor : inputs) tensor.direction = Direction::in;
  inputs.insert(inputs.end(), outputs.begin(), outputs.end());
  return inputs;
}

}  // namespace

Task evidence_task(const Task& task) {
  Task result = task;
  result.tensors = as_inputs_of(task.tensors, task.evidence);
  result.evidence.clear();
  return result;
}

BoundCase evidence_case(const BoundCase& bound) {
  BoundCase result = bound;
  result.tensors = as_inputs_of(bound.tensors, bound.evidence);
  result.evidence.clear();
  return result;
}

std::vector<BoundTensor> with_evidence(const BoundCase& bound) {
  std::vector<BoundTensor> tensors = bound.tensors;
  tensors.insert(tensors.end(), bound.evidence.begin(), bound.evidence.end());
  return tensors;
}

}  // namespace assay
