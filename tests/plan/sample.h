// A small valid plan that uses every member, and the artifact and case it belongs to.
#pragma once

#include <string>

#include "evaluator/plan/plan.h"

namespace assay::sample {

inline Artifact artifact() {
  Artifact artifact;
  artifact.arch = "sm_90";
  Kernel kernel;
  kernel.name = "_Z4stepPKfPfi";
  kernel.demangled = "step(float const*, float*, int)";
  kernel.parameters = {{0, 8, 8}, {8, 8, 8}, {16, 4, 4}};
  kernel.registers = 32;
  kernel.static_shared_bytes = 1024;
  kernel.max_threads = 512;
  artifact.kernels.push_back(kernel);
  kernel.name = "mapped";
  kernel.demangled = "";
  kernel.parameters = {{0, 128, 64}, {128, 8, 8}};
  kernel.max_threads = 0;
  kernel.registers = 128;
  artifact.kernels.push_back(kernel);
  artifact.variables = {{"table", 64, true}};
  return artifact;
}

inline BoundCase bound() {
  BoundCase bound;
  BoundTensor tensor;
  tensor.name = "x";
  tensor.elements = 1000;
  tensor.shape = {1000};
  bound.tensors.push_back(tensor);
  tensor.name = "y";
  tensor.direction = Direction::out;
  bound.tensors.push_back(tensor);
  return bound;
}

inline LaunchPlan plan() {
  LaunchPlan plan;
  plan.allocations = {{Allocation::Kind::argument, 0, "", 4000},
                      {Allocation::Kind::argument, 1, "", 4000},
                      {Allocation::Kind::variable, 0, "table", 64},
                      {Allocation::Kind::scratch, 0, "", 8192}};
  plan.operations.push_back({Memset{{3, 0}, 0xff, 1, 100, 4, 512}, {}, 0});
  plan.operations.push_back({Copy{{2, 8}, {}, std::string("\x01\x02\xfe", 3), 3, 1, 0, 0}, {}, 3});
  Launch step;
  step.kernel = "_Z4stepPKfPfi";
  step.grid = {8, 1, 1};
  step.block = {128, 1, 1};
  step.dynamic_shared_bytes = 2048;
  step.parameters = std::string(16, '\0') + std::string("\xe8\x03\0\0", 4);
  step.relocations = {{0, {0, 0}}, {8, {3, -4}}};
  plan.operations.push_back({step, {0, 1}, 0});
  Launch mapped;
  mapped.kernel = "mapped";
  mapped.grid = {4, 2, 1};
  mapped.block = {64, 1, 1};
  mapped.parameters = std::string(136, '\0');
  mapped.relocations = {{128, {1, 0}}};
  TensorMap map;
  map.base = {0, 64};
  map.data_type = 7;
  map.rank = 2;
  map.dimensions = {16, 8, 0, 0, 0};
  map.strides_bytes = {64, 0, 0, 0};
  map.box = {16, 4, 0, 0, 0};
  map.element_strides = {1, 1, 0, 0, 0};
  map.swizzle = 2;
  mapped.tensor_maps = {map};
  mapped.cluster = {2, 1, 1};
  mapped.cooperative = true;
  mapped.programmatic = true;
  plan.operations.push_back({mapped, {2}, 0});
  plan.operations.push_back({Copy{{1, 0}, {3, 0}, "", 100, 8, 500, 512}, {3}, 0});
  ElementGrid elements;  // a transposed matrix of f16, as f32
  elements.source_dtype = Dtype::f16;
  elements.rank = 2;
  elements.shape[0] = 20, elements.shape[1] = 30;
  elements.target_strides[0] = 30, elements.target_strides[1] = 1;
  elements.source_strides[0] = 1, elements.source_strides[1] = 20;
  plan.operations.push_back({ElementCopy{{3, 4}, {1, 2}, elements}, {4}, 0});
  return plan;
}

}  // namespace assay::sample
