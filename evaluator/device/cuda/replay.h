// A launch plan as a CUDA graph on the judge's own buffers.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/device/cuda/trusted_module.h"
#include "evaluator/device/device.h"
#include "evaluator/plan/plan.h"

namespace assay::cuda {

/// Loaded device code: the module and the functions and variables that plans name.
class CudaModule : public Module {
 public:
  CudaModule(const Context& context, std::string image, std::vector<Kernel> kernels)
      : context_(context), image_(std::move(image)), kernels_(std::move(kernels)) {}
  ~CudaModule() override { unload(); }

  /// (Re)loads the image: module variables get their initial values.
  Result<void> load();
  Result<CUfunction> function(const std::string& name) const;
  /// What the PTX says of a kernel; null if it has none of this name.
  const Kernel* kernel(const std::string& name) const;
  /// Address and size of a __device__ or __constant__ variable.
  Result<std::pair<CUdeviceptr, size_t>> variable(const std::string& name) const;
  /// Changes with every load(): graphs made before hold functions that are gone.
  int generation() const { return generation_; }

 private:
  void unload();

  const Context& context_;
  std::string image_;
  std::vector<Kernel> kernels_;
  CUmodule module_ = nullptr;
  int generation_ = 0;
};

/// Adds a plan's operations to a stream that is being captured, after what the stream holds.
/// `addresses[i]` is the address of the plan's i-th allocation. Literals of copies must have been
/// uploaded to `literals` (one address per operation, 0 where there is none); `trusted` makes the
/// element copies. Returns the fault of the first launch that the driver refused, if any; the
/// capture is of no use then.
Result<std::optional<Fault>> capture_plan(const Driver& driver, CUstream stream,
                                          TrustedModule& trusted, const CudaModule& module,
                                          const LaunchPlan& plan,
                                          std::span<const CUdeviceptr> addresses,
                                          std::span<const CUdeviceptr> literals);

/// The candidate's fault that a driver error stands for, or nothing if it is not the candidate's.
std::optional<Fault> fault_of(const Driver& driver, CUresult result, const std::string& kernel);

}  // namespace assay::cuda
