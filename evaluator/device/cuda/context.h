// One GPU of this process: its context, a stream, and the waiting for work with a deadline.
#pragma once

#include <chrono>
#include <memory>

#include "base/result.h"
#include "evaluator/device/cuda/driver.h"
#include "evaluator/device/info.h"

namespace assay::cuda {

class Context {
 public:
  /// Makes a context on GPU number `ordinal`. Errors (device): no driver, no such GPU, GPU busy in
  /// exclusive mode, out of memory.
  static Result<std::unique_ptr<Context>> create(int ordinal);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Driver& driver() const { return driver_; }
  const DeviceInfo& info() const { return info_; }
  /// All work goes here. It waits for the legacy stream, so that a copy from pageable host memory,
  /// which may return before its bytes have arrived, is over before the next kernel starts.
  CUstream stream() const { return stream_; }

  /// Waits until the stream is idle: its error, or CUDA_ERROR_NOT_READY once the deadline passed.
  CUresult wait(std::chrono::duration<double> deadline) const;

  /// After work that failed or did not end. Nothing may be freed any more, because the driver would
  /// wait for kernels that never end; the end of the process frees everything.
  void lose() const { lost_ = true; }
  bool lost() const { return lost_; }

  /// Persisting L2 off and its lines released; stack, heap and printf limits back to our values.
  Result<void> restore_limits() const;

 private:
  explicit Context(const Driver& driver) : driver_(driver) {}

  const Driver& driver_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr;
  DeviceInfo info_;
  mutable bool lost_ = false;
};

}  // namespace assay::cuda
