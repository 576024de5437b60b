// What the tests of reference kernels run them on: a compiler, the recorder and a virtual device.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "evaluator/check/check.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/device/device.h"
#include "tasks/task.h"

namespace assay {

/// Made once and shared by all tests of the program.
class Bench {
 public:
  static Result<Bench*> shared();

  const Catalogue& catalogue() const { return catalogue_; }

  /// Runs reference_kernels/<task id>/<kernel>.cu as a candidate on the inputs that follow from
  /// `seed`, and judges it against reference.cu. The report holds inputs, outputs and expected
  /// outputs.
  Result<CheckReport> run(const Task& task, const BoundCase& bound, const std::string& kernel,
                          uint64_t seed);

 private:
  Result<std::shared_ptr<const Artifact>> compile(const Task& task, const std::string& kernel);

  Catalogue catalogue_;
  std::unique_ptr<Compiler> compiler_;
  std::unique_ptr<Device> device_;
  std::map<std::string, std::shared_ptr<const Artifact>> artifacts_;  // by "<task id>/<kernel>"
};

}  // namespace assay
