// The job y = 2 x, for runners whose device is a FakeDevice: artifacts are kernels by their keys.
#pragma once

#include <string>

#include "evaluator/check/check.h"

namespace assay {

inline constexpr size_t kJobElements = 1000;

struct DoublingJob {
  Artifact candidate, reference;
  CheckJob job;

  explicit DoublingJob(const std::string& kernel = "doubles") {
    candidate.key = kernel;
    reference.key = "reference";
    BoundTensor x;
    x.name = "x";
    x.shape = {10, 100};
    x.elements = kJobElements;
    x.fill.kind = FillKind::normal;
    x.fill.elements = kJobElements;
    x.fill.b = 1;
    BoundTensor y = x;
    y.name = "y";
    y.direction = Direction::out;
    y.tolerance = {0, 1e-6, std::nullopt};
    job.bound.task_id = "double";
    job.bound.case_name = "tiny";
    job.bound.tensors = {x, y};
    job.candidate = &candidate;
    job.reference = &reference;
    job.seed = 42;
  }
  DoublingJob(const DoublingJob&) = delete;  // the job points into this
  DoublingJob& operator=(const DoublingJob&) = delete;
};

}  // namespace assay
