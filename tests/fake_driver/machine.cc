#include "tests/fake_driver/machine.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/files.h"
#include "evaluator/compile/artifact.h"
#include "evaluator/device/occupancy.h"
#include "evaluator/device/virtual/launch.h"

namespace assay::fake_driver {
namespace {

constexpr uint32_t kFatBinaryMagic = 0xba55ed50;

/// The device faults that hardware would report, as it would.
CUresult result_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::illegal_address:
      return CUDA_ERROR_ILLEGAL_ADDRESS;
    case Fault::Kind::misaligned_address:
      return CUDA_ERROR_MISALIGNED_ADDRESS;
    case Fault::Kind::assertion:
      return CUDA_ERROR_ASSERT;
    case Fault::Kind::stack_overflow:
      return CUDA_ERROR_HARDWARE_STACK_ERROR;
    default:
      return CUDA_ERROR_LAUNCH_FAILED;
  }
}

DeviceInfo info_of(const Control& control) {
  DeviceInfo info;
  info.multiprocessors = control.multiprocessors;
  return info;
}

}  // namespace

std::optional<std::pair<size_t, size_t>> Function::parameter(size_t index, size_t begin) const {
  size_t offset = begin;
  const auto& parameters = program->kernel->parameters;
  if (index >= parameters.size()) return std::nullopt;
  for (size_t i = 0;; ++i) {
    const size_t alignment = std::max(1u, parameters[i].alignment);
    offset = (offset + alignment - 1) / alignment * alignment;
    if (i == index) return std::pair(offset - begin, static_cast<size_t>(parameters[i].bytes));
    offset += parameters[i].bytes;
  }
}

Machine& Machine::instance() {
  static auto* const machine = new Machine;  // outlives every static that may still call
  return *machine;
}

CUresult Machine::allocate(uint64_t bytes, CUdeviceptr& address) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (bytes > free_bytes()) return CUDA_ERROR_OUT_OF_MEMORY;
  auto memory = virtual_gpu::HostMemory::allocate(bytes, 1);
  if (!memory.ok()) return CUDA_ERROR_OUT_OF_MEMORY;
  auto region =
      space_.add(virtual_gpu::Region::Kind::memory, bytes, memory->data(), "device memory");
  if (!region.ok()) return CUDA_ERROR_OUT_OF_MEMORY;
  address = (*region)->address;
  control.allocated_bytes += bytes;
  memory_.emplace(address, Allocated{std::move(*memory), *region});
  return CUDA_SUCCESS;
}

CUresult Machine::free(CUdeviceptr address) {
  const auto found = memory_.find(address);
  if (found == memory_.end()) return CUDA_ERROR_INVALID_VALUE;
  control.allocated_bytes -= found->second.region->bytes;
  space_.remove(found->second.region);
  memory_.erase(found);
  return CUDA_SUCCESS;
}

std::byte* Machine::at(CUdeviceptr address, uint64_t bytes) const {
  const virtual_gpu::Region* region = virtual_gpu::region_at(space_.slots(), address);
  if (!region || address < region->address || address - region->address + bytes > region->bytes)
    return nullptr;
  return region->host + (address - region->address);
}

CUresult Machine::load(const void* image, LoadedModule*& module) {
  Artifact artifact;
  artifact.arch = "sm_90";
  uint32_t magic = 0;
  std::memcpy(&magic, image, sizeof magic);
  if (magic == kFatBinaryMagic) {
    auto ptx = read_file(ASSAY_TRUSTED_PTX);
    if (!ptx.ok()) return CUDA_ERROR_INVALID_IMAGE;
    artifact.ptx = *std::move(ptx);
  } else {
    artifact.ptx = static_cast<const char*>(image);
  }
  auto loaded = virtual_gpu::Image::load(space_, artifact);
  if (!loaded.ok()) return CUDA_ERROR_INVALID_IMAGE;
  modules_.push_back(std::make_unique<LoadedModule>());
  module = modules_.back().get();
  module->image = *std::move(loaded);
  return CUDA_SUCCESS;
}

void Machine::unload(LoadedModule* module) {
  std::erase_if(modules_, [&](const auto& loaded) { return loaded.get() == module; });
}

CUresult Machine::variable(const LoadedModule& module, const std::string& name,
                           CUdeviceptr& address, size_t& bytes) const {
  const virtual_gpu::Region* region = module.image->variable(name);
  if (!region) return CUDA_ERROR_NOT_FOUND;
  address = region->address;
  bytes = region->bytes;
  return CUDA_SUCCESS;
}

CUresult Machine::refusal(const LaunchRequest& request) const {
  const DeviceInfo info = info_of(control);
  const uint64_t threads = request.block.count();
  const uint64_t shared =
      uint64_t{request.function->program->static_shared_bytes} + request.shared_bytes;
  if (request.grid.count() == 0 || threads == 0 || threads > info.max_threads_per_block)
    return CUDA_ERROR_INVALID_VALUE;
  if (request.grid.y > info.max_grid[1] || request.grid.z > info.max_grid[2])
    return CUDA_ERROR_INVALID_VALUE;
  if (request.shared_bytes > static_cast<uint32_t>(request.function->dynamic_shared_limit) ||
      shared > info.shared_per_block_optin_bytes)
    return CUDA_ERROR_INVALID_VALUE;
  if (request.cluster.count() > info.max_cluster_blocks) return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  if (!request.cooperative) return CUDA_SUCCESS;
  const BlockUse use{static_cast<uint32_t>(threads), 0, shared};
  const uint64_t room = uint64_t{resident_blocks(info, use)} * info.multiprocessors;
  return request.grid.count() > room ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

/// The kernel that reads the device's clocks: here they are the machine's, at 1 GHz.
void Machine::stamp(const LaunchRequest& request) {
  CUdeviceptr address = 0;
  std::memcpy(&address, request.parameters.data(), sizeof address);
  const auto time = static_cast<uint64_t>(now_us * 1e3);
  for (uint32_t i = 0; i < control.multiprocessors; ++i) {
    const std::array<uint64_t, 2> values{time, time};
    if (std::byte* to = at(address + 16 * i, 16)) std::memcpy(to, values.data(), 16);
  }
}

void Machine::run(const LaunchRequest& request) {
  ++control.launches;
  if (sticky != CUDA_SUCCESS || hung) return;
  if (request.function->name == "assay_stamp") return stamp(request);
  virtual_gpu::Launch launch;
  launch.program = request.function->program;
  launch.space = &space_;
  launch.kernel = request.function->name;
  launch.grid = request.grid;
  launch.block = request.block;
  launch.explicit_cluster = request.cluster.count() > 0;
  launch.cluster = launch.explicit_cluster ? request.cluster : Dim3{1, 1, 1};
  launch.dynamic_shared_bytes = request.shared_bytes;
  launch.multiprocessors = control.multiprocessors;
  launch.budget = control.instruction_budget;
  launch.deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  launch.parameters = request.parameters;
  std::string printed;
  launch.printed = &printed;
  alignas(64) std::array<std::byte, 256> workspace{};
  virtual_gpu::Region* region = nullptr;
  if (request.cooperative) {
    auto added = space_.add(virtual_gpu::Region::Kind::memory, workspace.size(), workspace.data(),
                            "the grid's workspace");
    if (added.ok()) region = *added;
    launch.workspace = region ? region->address : 0;
  }
  virtual_gpu::run_launch(launch, 1, request.cooperative);
  if (region) space_.remove(region);
  now_us += control.launch_us +
            1e-3 * control.lane_ns * static_cast<double>(launch.counters.lane_instructions);
  if (!launch.fault) return;
  if (launch.fault->kind == Fault::Kind::timeout)
    hung = true;
  else
    sticky = result_of(launch.fault->kind);
}

}  // namespace assay::fake_driver
