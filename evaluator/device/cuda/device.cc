// Theory of operation
//
// A CudaDevice owns a context on one GPU and every allocation in it. A buffer lies between two red
// zones of 4 KiB in one allocation; the trusted kernels see it as a lone slot through a small table
// of addresses in device memory.
//
// A plan is prepared by giving it scratch buffers and uploading its literals; it becomes a graph
// the first time it runs and again after its module was reset (module variables have new addresses
// then). Running it means: poison the scratch, launch the graph, wait with a deadline. After an
// error that poisons the context, or a deadline that passed, the device is not healthy any more and
// its process must be replaced; nothing here tries to go on, or to free what a kernel that never
// ends may be using.
#include "evaluator/device/cuda/device.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "evaluator/check/trusted.h"
#include "evaluator/device/cuda/calibration.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/device/cuda/replay.h"
#include "evaluator/device/cuda/stopwatch.h"
#include "evaluator/device/cuda/trusted_module.h"

namespace assay::cuda {

namespace {

using trusted::kRedZoneBytes;

constexpr std::chrono::seconds kPatience{3};  // for memory that is being given back

uint64_t rounded_up(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

struct Allocated {
  CUdeviceptr base = 0;   // of the allocation; the data starts kRedZoneBytes later
  CUdeviceptr table = 0;  // the data's address in device memory, for the trusted kernels
  uint64_t bytes = 0;
  std::string name;
};

class CudaDevice;

class CudaPlan : public PreparedPlan {
 public:
  CudaPlan(CudaDevice& device, CudaModule& module, const LaunchPlan& plan)
      : device_(device), module_(module), plan_(plan) {}
  ~CudaPlan() override;

  CudaDevice& device_;
  CudaModule& module_;
  const LaunchPlan plan_;
  std::vector<Buffer> scratch_;         // by allocation; id 0 where it is not scratch
  std::vector<CUdeviceptr> addresses_;  // by allocation; variables are filled in by instantiate()
  std::vector<CUdeviceptr> literals_;   // by operation; 0: none
  std::optional<Fault> refused_;        // more scratch than the device has free
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
  int generation_ = -1;  // of the module when the graph was made

  std::string kernels() const {
    std::string names;
    for (const Operation& operation : plan_.operations)
      if (const auto* launch = std::get_if<Launch>(&operation.action);
          launch && names.find(launch->kernel) == std::string::npos)
        names += (names.empty() ? "" : ", ") + launch->kernel;
    return names;
  }
};

class CudaDevice : public Device {
 public:
  static Result<std::unique_ptr<Device>> create(int ordinal) {
    std::unique_ptr<CudaDevice> device(new CudaDevice);
    ASSIGN_OR_RETURN(device->context_, Context::create(ordinal));
    ASSIGN_OR_RETURN(device->trusted_, TrustedModule::load(*device->context_));
    return std::unique_ptr<Device>(std::move(device));
  }

  ~CudaDevice() override {
    for (const auto& [id, allocated] : allocations_) free(allocated);
  }

  const DeviceInfo& info() const override { return context_->info(); }
  bool healthy() const override { return !context_->lost(); }
  const Driver& driver() const { return context_->driver(); }

  Result<Buffer> allocate(uint64_t bytes, const std::string& name) override {
    Allocated allocated;
    allocated.bytes = bytes;
    allocated.name = name;
    const uint64_t whole = kRedZoneBytes + rounded_up(bytes) + kRedZoneBytes;
    const CUresult result = allocate_patiently(allocated.base, whole);
    if (result != CUDA_SUCCESS)
      return Error{ErrorKind::device, fmt::format("allocating {} bytes for {}: {}", bytes, name,
                                                  describe(driver(), result))};
    const Buffer buffer{++last_id_, allocated.base + kRedZoneBytes, bytes};
    allocations_[buffer.id] = allocated;
    Result<void> made = make_table(buffer);
    if (made.ok()) made = trusted_->write_red_zones(region(buffer), bytes);
    if (made.ok()) return buffer;
    release(buffer);
    return made.error();
  }

  void release(const Buffer& buffer) override {
    const auto found = allocations_.find(buffer.id);
    if (found == allocations_.end()) return;
    free(found->second);
    allocations_.erase(found);
  }

  Result<void> upload(const Buffer& buffer, std::span<const std::byte> bytes) override {
    RETURN_IF_ERROR(settle());
    if (bytes.empty()) return {};
    return check(driver().cuMemcpyHtoD_v2(buffer.address, bytes.data(), bytes.size()), "uploading");
  }

  Result<void> download(const Buffer& buffer, std::span<std::byte> bytes) override {
    RETURN_IF_ERROR(settle());
    if (bytes.empty()) return {};
    return check(driver().cuMemcpyDtoH_v2(bytes.data(), buffer.address, bytes.size()),
                 "downloading");
  }

  Result<void> fill(const Buffer& buffer, const Fill& fill, FillKey key) override {
    return trusted_->fill(region(buffer), fill, key.seed, key.generation);
  }
  Result<void> poison(const Buffer& buffer, Dtype dtype, uint64_t key) override {
    return trusted_->poison(region(buffer), dtype, buffer.bytes / size_bytes(dtype), key);
  }
  Result<uint64_t> hash(const Buffer& buffer) override {
    return trusted_->hash(region(buffer), buffer.bytes, 0);
  }
  Result<RedZoneDamage> check_red_zones(const Buffer& buffer) override {
    ASSIGN_OR_RETURN(RedZoneDamage damage, trusted_->check_red_zones(region(buffer), buffer.bytes));
    damage.buffer = allocations_.at(buffer.id).name;
    return damage;
  }
  Result<Comparison> compare(const Buffer& got, const Buffer& want, Dtype dtype, uint64_t elements,
                             const Tolerance& tolerance) override {
    return trusted_->compare(region(got), region(want), dtype, elements, tolerance);
  }
  Result<std::unique_ptr<Module>> load(const Artifact& artifact) override {
    auto module = std::make_unique<CudaModule>(
        *context_, artifact.cubin.empty() ? artifact.ptx : artifact.cubin, artifact.kernels);
    RETURN_IF_ERROR(module->load());
    return std::unique_ptr<Module>(std::move(module));
  }

  Result<void> reset(Module& module) override {
    RETURN_IF_ERROR(settle());
    RETURN_IF_ERROR(context_->restore_limits());
    return static_cast<CudaModule&>(module).load();
  }

  Result<std::unique_ptr<PreparedPlan>> prepare(Module& module, const LaunchPlan& plan,
                                                std::span<const Buffer> arguments) override {
    auto prepared = std::make_unique<CudaPlan>(*this, static_cast<CudaModule&>(module), plan);
    for (const Allocation& allocation : plan.allocations) {
      Buffer scratch;
      CUdeviceptr address = 0;
      if (allocation.kind == Allocation::Kind::argument) {
        address = arguments[allocation.index].address;
      } else if (allocation.kind == Allocation::Kind::scratch) {
        Result<Buffer> made = allocate(allocation.bytes, "scratch");
        if (!made.ok() && memory().free < allocation.bytes) {
          prepared->refused_ = no_memory(allocation.bytes);
          return std::unique_ptr<PreparedPlan>(std::move(prepared));
        }
        if (!made.ok()) return made.error();
        scratch = *made;
        address = scratch.address;
      }
      prepared->scratch_.push_back(scratch);
      prepared->addresses_.push_back(address);
    }
    for (const Operation& operation : plan.operations) {
      CUdeviceptr literal = 0;
      if (const auto* copy = std::get_if<Copy>(&operation.action); copy && !copy->literal.empty()) {
        RETURN_IF_ERROR(
            check(driver().cuMemAlloc_v2(&literal, copy->literal.size()), "allocating a literal"));
        prepared->literals_.push_back(literal);
        RETURN_IF_ERROR(
            check(driver().cuMemcpyHtoD_v2(literal, copy->literal.data(), copy->literal.size()),
                  "uploading a literal"));
      } else {
        prepared->literals_.push_back(0);
      }
    }
    return std::unique_ptr<PreparedPlan>(std::move(prepared));
  }

  Result<RunReport> run(PreparedPlan& prepared, const RunOptions& options) override {
    auto& plan = static_cast<CudaPlan&>(prepared);
    RunReport report;
    report.fault = plan.refused_;
    if (report.fault) return report;
    ASSIGN_OR_RETURN(report.fault, instantiate(plan));
    if (report.fault) return report;
    for (const Buffer& scratch : plan.scratch_)
      if (scratch.id != 0)
        RETURN_IF_ERROR(poison(scratch, Dtype::u8, 0x5c7a7c4 + options.schedule_seed));
    RETURN_IF_ERROR(settle());

    const auto start = std::chrono::steady_clock::now();
    CUresult result = driver().cuGraphLaunch(plan.executable_, context_->stream());
    if (result == CUDA_SUCCESS)
      result = context_->wait(std::chrono::duration<double>(options.deadline_seconds));
    report.elapsed_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (result == CUDA_SUCCESS) return report;
    context_->lose();
    if (result == CUDA_ERROR_NOT_READY) {
      Fault fault;
      fault.kind = Fault::Kind::timeout;
      fault.reason = name(fault.kind);
      fault.kernel = plan.kernels();
      fault.explanation = fmt::format("the kernels ({}) did not end within {:.1f} seconds",
                                      fault.kernel, options.deadline_seconds);
      report.fault = fault;
      return report;
    }
    report.fault = fault_of(driver(), result, plan.kernels());
    if (!report.fault) return Error{ErrorKind::device, describe(driver(), result)};
    return report;
  }

  Result<RedZoneDamage> check_scratch_red_zones(PreparedPlan& prepared) override {
    RedZoneDamage total;
    for (const Buffer& scratch : static_cast<CudaPlan&>(prepared).scratch_) {
      if (scratch.id == 0) continue;
      ASSIGN_OR_RETURN(const RedZoneDamage damage, check_red_zones(scratch));
      if (damage.any() && !total.any()) total.buffer = damage.buffer;
      total.bytes_before += damage.bytes_before;
      total.bytes_after += damage.bytes_after;
    }
    return total;
  }

  Result<std::unique_ptr<Stopwatch>> make_stopwatch(const StopwatchSetup& setup) override {
    RETURN_IF_ERROR(settle());
    RETURN_IF_ERROR(context_->restore_limits());
    ASSIGN_OR_RETURN(std::unique_ptr<CudaStopwatch> watch,
                     CudaStopwatch::create(*context_, *trusted_, setup));
    return std::unique_ptr<Stopwatch>(std::move(watch));
  }

  Result<DeviceProfile> calibrate() override {
    RETURN_IF_ERROR(settle());
    return measure_profile(*context_, *trusted_);
  }

 private:
  CudaDevice() = default;

  Result<void> check(CUresult result, const char* what) const {
    return expect(driver(), result, what);
  }
  /// Waits for the trusted kernels that are on their way.
  Result<void> settle() const {
    return check(driver().cuStreamSynchronize(context_->stream()), "waiting for the device");
  }

  struct Memory {
    size_t free = 0, total = 0;
  };
  Memory memory() const {
    Memory memory;
    driver().cuMemGetInfo_v2(&memory.free, &memory.total);
    return memory;
  }

  /// A runner that was killed a moment ago may still hold its memory.
  CUresult allocate_patiently(CUdeviceptr& base, uint64_t bytes) const {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      const CUresult result = driver().cuMemAlloc_v2(&base, bytes);
      if (result != CUDA_ERROR_OUT_OF_MEMORY || bytes > memory().total ||
          std::chrono::steady_clock::now() > end)
        return result;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  Fault no_memory(uint64_t bytes) const {
    Fault fault;
    fault.kind = Fault::Kind::launch_failed;
    fault.reason = "scratch_memory";
    fault.explanation =
        fmt::format("the candidate allocates {} MiB of scratch, the GPU has {} MiB left",
                    bytes >> 20, memory().free >> 20);
    return fault;
  }

  Result<void> make_table(const Buffer& buffer) {
    CUdeviceptr& table = allocations_.at(buffer.id).table;
    RETURN_IF_ERROR(check(driver().cuMemAlloc_v2(&table, sizeof buffer.address), "allocating"));
    return check(driver().cuMemcpyHtoD_v2(table, &buffer.address, sizeof buffer.address),
                 "uploading");
  }

  SlotRegion region(const Buffer& buffer) const {
    return SlotRegion{allocations_.at(buffer.id).table, 0, 1, 0};
  }

  void free(const Allocated& allocated) const {
    if (context_->lost()) return;
    if (allocated.base) driver().cuMemFree_v2(allocated.base);
    if (allocated.table) driver().cuMemFree_v2(allocated.table);
  }

  /// Makes the plan's graph unless it has one for the module as it is now.
  Result<std::optional<Fault>> instantiate(CudaPlan& plan) {
    if (plan.generation_ == plan.module_.generation()) return std::optional<Fault>();
    if (plan.executable_) driver().cuGraphExecDestroy(plan.executable_);
    if (plan.graph_) driver().cuGraphDestroy(plan.graph_);
    plan.executable_ = nullptr;
    plan.graph_ = nullptr;
    for (size_t i = 0; i < plan.plan_.allocations.size(); ++i) {
      const Allocation& allocation = plan.plan_.allocations[i];
      if (allocation.kind != Allocation::Kind::variable) continue;
      ASSIGN_OR_RETURN(const auto variable, plan.module_.variable(allocation.name));
      plan.addresses_[i] = variable.first;
    }
    const CUstream stream = context_->stream();
    RETURN_IF_ERROR(settle());
    RETURN_IF_ERROR(
        check(driver().cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
              "starting a capture"));
    Result<std::optional<Fault>> captured = capture_plan(
        driver(), stream, *trusted_, plan.module_, plan.plan_, plan.addresses_, plan.literals_);
    const CUresult ended = driver().cuStreamEndCapture(stream, &plan.graph_);
    if (!captured.ok() || *captured) return captured;
    RETURN_IF_ERROR(check(ended, "ending a capture"));
    const CUresult result = driver().cuGraphInstantiateWithFlags(&plan.executable_, plan.graph_, 0);
    if (result != CUDA_SUCCESS) {
      if (auto fault = fault_of(driver(), result, plan.kernels())) return fault;
      return Error{ErrorKind::device,
                   fmt::format("making a graph of the plan: {}", describe(driver(), result))};
    }
    plan.generation_ = plan.module_.generation();
    return std::optional<Fault>();
  }

  std::unique_ptr<Context> context_;
  std::unique_ptr<TrustedModule> trusted_;
  std::map<uint32_t, Allocated> allocations_;
  uint32_t last_id_ = 0;
};

CudaPlan::~CudaPlan() {
  if (!device_.healthy()) return;
  if (executable_) device_.driver().cuGraphExecDestroy(executable_);
  if (graph_) device_.driver().cuGraphDestroy(graph_);
  for (const CUdeviceptr literal : literals_)
    if (literal) device_.driver().cuMemFree_v2(literal);
  for (const Buffer& scratch : scratch_)
    if (scratch.id != 0) device_.release(scratch);
}

}  // namespace

Result<std::unique_ptr<Device>> make_device(int ordinal) { return CudaDevice::create(ordinal); }

}  // namespace assay::cuda
