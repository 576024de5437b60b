// Theory of operation
//
// The virtual device executes PTX on the CPU. load() parses a module and places its variables;
// prepare() binds a plan to buffers; run() goes through the plan's operations, and for each launch
// decodes the kernel (once), spreads its blocks over threads and executes their warps:
//
//   lexer, parser      text to instructions with resolved registers (untrusted input)
//   decode*            instructions to operations over rows of a register frame (program.h)
//   lanes*.cc          the operations that matter for speed, 32 lanes at a time, and the main loop;
//                      compiled for several instruction sets, the CPU's best is used
//   warp, barrier      divergence, calls, barriers
//   block, launch      which warp and which block run when
//   cluster            blocks that share a barrier and reach each other's shared memory
//   memory, access     the address space, bounds of every access, counts
//   shadow             races on shared memory, uninitialised reads (not in clusters, where other
//                      blocks write too)
//   faults             the sentences for people
//
// The trusted kernels are the host functions of evaluator/check/trusted.h on the buffers' memory.
#include "evaluator/device/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <thread>

#include "evaluator/check/trusted.h"
#include "evaluator/device/virtual/codes.h"
#include "evaluator/device/virtual/replay.h"

namespace assay {
namespace virtual_gpu {
namespace {

/// What candidates may allocate together with their tensors. A runner may use twice as much, so
/// that running out of memory is told by the plan and never ends the runner.
constexpr uint64_t kMemoryBytes = uint64_t{8} << 30;

class VirtualDevice : public Device {
 public:
  VirtualDevice(const std::string& arch, int threads) : info_(default_device_info(arch)) {
    info_.id = "virtual";
    info_.name = fmt::format("assay virtual GPU ({})", arch);
    info_.uuid = "virtual";
    info_.global_memory_bytes = kMemoryBytes;
    info_.driver = fmt::format("assay {}", executor().name);
    threads_ =
        threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }

  const DeviceInfo& info() const override { return info_; }

  Result<assay::Buffer> allocate(uint64_t bytes, const std::string& name) override {
    ASSIGN_OR_RETURN(HostMemory memory, HostMemory::allocate(bytes, space_.random()));
    const bool bare = name.find(' ') == std::string::npos;
    ASSIGN_OR_RETURN(Region * region, space_.add(Region::Kind::memory, bytes, memory.data(),
                                                 bare ? fmt::format("tensor {}", name) : name));
    const assay::Buffer buffer{++last_id_, region->address, bytes};
    buffers_.emplace(buffer.id, Allocated{std::move(memory), region, name});
    return buffer;
  }

  void release(const assay::Buffer& buffer) override {
    const auto found = buffers_.find(buffer.id);
    if (found == buffers_.end()) return;
    space_.remove(found->second.region);
    buffers_.erase(found);
  }

  Result<void> upload(const assay::Buffer& buffer, std::span<const std::byte> bytes) override {
    ASSIGN_OR_RETURN(std::byte * data, data_of(buffer, bytes.size()));
    std::copy(bytes.begin(), bytes.end(), data);
    return {};
  }

  Result<void> download(const assay::Buffer& buffer, std::span<std::byte> bytes) override {
    ASSIGN_OR_RETURN(const std::byte* data, data_of(buffer, bytes.size()));
    std::copy(data, data + bytes.size(), bytes.begin());
    return {};
  }

  Result<void> fill(const assay::Buffer& buffer, const Fill& fill, FillKey key) override {
    ASSIGN_OR_RETURN(std::byte * data, data_of(buffer, fill.elements * size_bytes(fill.dtype)));
    fill_on_host(fill, key, data);
    return {};
  }

  Result<void> poison(const assay::Buffer& buffer, Dtype dtype, uint64_t key) override {
    ASSIGN_OR_RETURN(std::byte * data, data_of(buffer, buffer.bytes));
    trusted::poison_on_host(dtype, buffer.bytes / size_bytes(dtype), key, data);
    return {};
  }

  Result<uint64_t> hash(const assay::Buffer& buffer) override {
    ASSIGN_OR_RETURN(const std::byte* data, data_of(buffer, buffer.bytes));
    return trusted::hash_on_host(data, buffer.bytes);
  }

  Result<RedZoneDamage> check_red_zones(const assay::Buffer& buffer) override {
    const auto found = buffers_.find(buffer.id);
    if (found == buffers_.end()) return unknown_buffer();
    const auto [before, after] = found->second.memory.damage();
    return RedZoneDamage{before, after, found->second.name};
  }

  Result<Comparison> compare(const assay::Buffer& got, const assay::Buffer& want, Dtype dtype,
                             uint64_t elements, const Tolerance& tolerance) override {
    ASSIGN_OR_RETURN(const std::byte* a, data_of(got, elements * size_bytes(dtype)));
    ASSIGN_OR_RETURN(const std::byte* b, data_of(want, elements * size_bytes(dtype)));
    return trusted::compare_on_host(a, b, dtype, elements, tolerance);
  }

  Result<std::unique_ptr<Module>> load(const Artifact& artifact) override {
    ASSIGN_OR_RETURN(std::unique_ptr<Image> image, Image::load(space_, artifact));
    return std::unique_ptr<Module>(std::move(image));
  }

  Result<void> reset(Module& module) override {
    static_cast<Image&>(module).reset();
    return {};
  }

  Result<std::unique_ptr<PreparedPlan>> prepare(Module& module, const LaunchPlan& plan,
                                                std::span<const assay::Buffer> arguments) override {
    std::vector<const Region*> regions;
    for (const assay::Buffer& buffer : arguments) {
      const auto found = buffers_.find(buffer.id);
      if (found == buffers_.end()) return unknown_buffer();
      regions.push_back(found->second.region);
    }
    ASSIGN_OR_RETURN(std::unique_ptr<Replay> replay,
                     Replay::prepare(space_, static_cast<Image&>(module), plan, regions));
    return std::unique_ptr<PreparedPlan>(std::move(replay));
  }

  Result<RunReport> run(PreparedPlan& plan, const RunOptions& options) override {
    return static_cast<Replay&>(plan).run(info_, options, threads_);
  }

  Result<RedZoneDamage> check_scratch_red_zones(PreparedPlan& plan) override {
    return static_cast<Replay&>(plan).damage();
  }

 private:
  struct Allocated {
    HostMemory memory;
    Region* region;
    std::string name;
  };

  static Error unknown_buffer() {
    return {ErrorKind::internal, "a buffer that is not of this virtual device"};
  }

  Result<std::byte*> data_of(const assay::Buffer& buffer, uint64_t bytes) {
    const auto found = buffers_.find(buffer.id);
    if (found == buffers_.end()) return unknown_buffer();
    if (bytes > found->second.memory.bytes()) {
      return Error{ErrorKind::internal,
                   fmt::format("{} bytes for buffer {}, which has {}", bytes, found->second.name,
                               found->second.memory.bytes())};
    }
    return found->second.memory.data();
  }

  DeviceInfo info_;
  int threads_ = 1;
  AddressSpace space_;
  uint32_t last_id_ = 0;
  std::map<uint32_t, Allocated> buffers_;
};

}  // namespace
}  // namespace virtual_gpu

std::unique_ptr<Device> make_virtual_device(const std::string& arch, int threads) {
  return std::make_unique<virtual_gpu::VirtualDevice>(arch, threads);
}

}  // namespace assay
