#include "tests/reference_kernels/bench.h"

#include "base/files.h"
#include "evaluator/compile/entry.h"
#include "evaluator/record/recorder.h"
#include "tasks/evidence.h"

namespace assay {

namespace {

Result<LaunchPlan> plan_of(const Artifact& artifact, const BoundCase& bound, const Device& device) {
  ASSIGN_OR_RETURN(RecordOutcome recorded, record(artifact, bound, device.info()));
  if (recorded.failure) return Error{ErrorKind::invalid, recorded.failure->explanation};
  return std::move(*recorded.plan);
}

}  // namespace

Result<Bench*> Bench::shared() {
  static const auto bench = []() -> Result<std::unique_ptr<Bench>> {
    auto made = std::make_unique<Bench>();
    ASSIGN_OR_RETURN(made->catalogue_, load_catalogue(ASSAY_SOURCE_DIR "/tasks/suites"));
    ASSIGN_OR_RETURN(made->compiler_, Compiler::create());
    made->device_ = make_virtual_device();
    return made;
  }();
  if (!bench.ok()) return bench.error();
  return bench->get();
}

Result<std::shared_ptr<const Artifact>> Bench::compile(const Task& task,
                                                       const std::string& kernel) {
  std::shared_ptr<const Artifact>& artifact = artifacts_[task.id + "/" + kernel];
  if (artifact) return artifact;
  const std::string file = kernel + ".cu";
  CompileRequest request;
  ASSIGN_OR_RETURN(request.source,
                   read_file(ASSAY_SOURCE_DIR "/reference_kernels/" + task.id + "/" + file));
  request.file_name = file;
  request.entry = entry_source(task);
  request.want_cubin = false;
  ASSIGN_OR_RETURN(const CompileOutcome outcome, compiler_->compile(request));
  if (outcome.failure) return Error{ErrorKind::invalid, outcome.failure->explanation};
  artifact = outcome.artifact;
  return artifact;
}

Result<CheckReport> Bench::run(const Task& task, const BoundCase& bound, const std::string& kernel,
                               uint64_t seed) {
  ASSIGN_OR_RETURN(const auto candidate, compile(task, kernel));
  ASSIGN_OR_RETURN(const auto reference, compile(task, "reference"));
  CheckJob job;
  job.bound = bound;
  job.candidate = candidate.get();
  job.reference = reference.get();
  ASSIGN_OR_RETURN(job.candidate_plan, plan_of(*candidate, bound, *device_));
  ASSIGN_OR_RETURN(job.reference_plan, plan_of(*reference, bound, *device_));
  std::shared_ptr<const Artifact> evidence;
  if (!task.evidence.empty()) {
    ASSIGN_OR_RETURN(evidence, compile(evidence_task(task), "evidence"));
    job.evidence.artifact = evidence.get();
    ASSIGN_OR_RETURN(job.evidence.plan, plan_of(*evidence, evidence_case(bound), *device_));
  }
  job.seed = seed;
  job.want_outputs = true;
  job.want_expected = true;
  return check(*device_, job);
}

}  // namespace assay
