// The GPU behind the stand-in driver: memory, modules and launches on the virtual device, a clock.
#pragma once

#include <cuda.h>

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "evaluator/device/virtual/image.h"
#include "evaluator/device/virtual/memory.h"
#include "tests/fake_driver/control.h"

namespace assay::fake_driver {

struct LoadedModule;

/// A CUfunction.
struct Function {
  LoadedModule* module = nullptr;
  std::string name;
  const virtual_gpu::Program* program = nullptr;
  int dynamic_shared_limit = 48 << 10;

  /// Offset and bytes of a parameter whose buffer begins at `begin` of some memory, counted from
  /// there; nothing past the last.
  std::optional<std::pair<size_t, size_t>> parameter(size_t index, size_t begin = 0) const;
};

/// A CUmodule.
struct LoadedModule {
  std::unique_ptr<virtual_gpu::Image> image;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct LaunchRequest {
  Function* function = nullptr;
  Dim3 grid, block, cluster{0, 0, 0};
  uint32_t shared_bytes = 0;
  bool cooperative = false;
  std::vector<std::byte> parameters;
};

class Machine {
 public:
  static Machine& instance();

  Control control;
  double now_us = 1000;            // of the device's clock
  CUresult sticky = CUDA_SUCCESS;  // an error that only a new process ends
  bool hung = false;               // a kernel never ends: the stream is never ready

  CUresult allocate(uint64_t bytes, CUdeviceptr& address);
  CUresult free(CUdeviceptr address);
  uint64_t free_bytes() const { return control.memory_bytes - control.allocated_bytes; }
  /// Host address of device memory; null where [address, address + bytes) is in no allocation.
  std::byte* at(CUdeviceptr address, uint64_t bytes) const;

  /// PTX text, or a fat binary of assay's own, for which the PTX of the same source is taken.
  CUresult load(const void* image, LoadedModule*& module);
  void unload(LoadedModule* module);
  CUresult variable(const LoadedModule& module, const std::string& name, CUdeviceptr& address,
                    size_t& bytes) const;

  /// What a launch is refused for at once; CUDA_SUCCESS: nothing.
  CUresult refusal(const LaunchRequest& request) const;
  /// Runs a launch to its end and moves the clock. A fault becomes the sticky error.
  void run(const LaunchRequest& request);

 private:
  Machine() = default;
  void stamp(const LaunchRequest& request);

  virtual_gpu::AddressSpace space_;
  struct Allocated {
    virtual_gpu::HostMemory memory;
    virtual_gpu::Region* region;
  };
  std::map<CUdeviceptr, Allocated> memory_;
  std::vector<std::unique_ptr<LoadedModule>> modules_;
};

}  // namespace assay::fake_driver
