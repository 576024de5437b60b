// Runs a plan's operations one after the other in their order, which their dependencies allow: they
// point backwards.
#include "evaluator/device/virtual/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "evaluator/check/element_copy.h"
#include "evaluator/device/occupancy.h"
#include "evaluator/device/virtual/launch.h"
#include "evaluator/device/virtual/order.h"

namespace assay::virtual_gpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kCyclesBetweenLaunches = 5000;
constexpr size_t kMaximumNotes = 64;  // of all launches of a run

double milliseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string shape_text(const Dim3& shape) {
  return fmt::format("({},{},{})", shape.x, shape.y, shape.z);
}

struct Refusal {
  Fault::Kind kind;
  std::string what;
};

/// Why the device cannot run a launch, if it cannot.
std::optional<Refusal> refusal(const Launch& launch, const assay::Launch& asked,
                               const DeviceInfo& info) {
  const auto failed = [](std::string what) {
    return Refusal{Fault::Kind::launch_failed, std::move(what)};
  };
  const Dim3 grid = launch.grid, block = launch.block;
  if (grid.count() == 0 || block.count() == 0) {
    return failed(
        fmt::format("the grid {} of blocks {} is empty", shape_text(grid), shape_text(block)));
  }
  if (grid.x > info.max_grid[0] || grid.y > info.max_grid[1] || grid.z > info.max_grid[2]) {
    return failed(fmt::format("the grid {} is larger than ({},{},{})", shape_text(grid),
                              info.max_grid[0], info.max_grid[1], info.max_grid[2]));
  }
  if (block.x > info.max_block[0] || block.y > info.max_block[1] || block.z > info.max_block[2] ||
      block.count() > info.max_threads_per_block) {
    return failed(fmt::format("the block {} has more than {} threads or is larger than ({},{},{})",
                              shape_text(block), info.max_threads_per_block, info.max_block[0],
                              info.max_block[1], info.max_block[2]));
  }
  const uint64_t shared =
      uint64_t{launch.program->static_shared_bytes} + asked.dynamic_shared_bytes;
  if (shared > info.shared_per_block_optin_bytes) {
    return failed(fmt::format("{} bytes of shared memory a block, the device has {}", shared,
                              info.shared_per_block_optin_bytes));
  }
  const Function& kernel = *launch.program->kernel;
  const uint32_t* most = kernel.max_threads;
  if (most[0] != 0 && block.count() > uint64_t{most[0]} * most[1] * most[2]) {
    return failed(fmt::format("{} threads a block, but the kernel's __launch_bounds__ allow {}",
                              block.count(), uint64_t{most[0]} * most[1] * most[2]));
  }
  const uint32_t* required = kernel.required_threads;
  if (required[0] != 0 &&
      (block.x != required[0] || block.y != required[1] || block.z != required[2])) {
    return failed(fmt::format("the block is {}, but the kernel requires ({},{},{})",
                              shape_text(block), required[0], required[1], required[2]));
  }
  if (asked.cooperative) {
    const BlockUse use{static_cast<uint32_t>(block.count()), 0, shared};
    const uint64_t room = uint64_t{resident_blocks(info, use)} * info.multiprocessors;
    if (grid.count() > room) {
      return failed(fmt::format("a cooperative launch of {} blocks; the device holds {} at once",
                                grid.count(), room));
    }
  }
  const Dim3 cluster = launch.cluster;
  if (cluster.count() == 0 || cluster.count() > info.max_cluster_blocks) {
    return failed(fmt::format("a cluster of {} blocks, the device allows 1 to {}",
                              shape_text(cluster), info.max_cluster_blocks));
  }
  if (grid.x % cluster.x != 0 || grid.y % cluster.y != 0 || grid.z % cluster.z != 0) {
    return failed(fmt::format("the grid {} is not a multiple of the cluster {}", shape_text(grid),
                              shape_text(cluster)));
  }
  const uint32_t* blocks = kernel.required_cluster;
  if (blocks[0] != 0 &&
      (cluster.x != blocks[0] || cluster.y != blocks[1] || cluster.z != blocks[2])) {
    return failed(fmt::format("the cluster is {}, but the kernel requires ({},{},{})",
                              shape_text(cluster), blocks[0], blocks[1], blocks[2]));
  }
  if (!asked.tensor_maps.empty()) {
    return Refusal{Fault::Kind::unsupported, "the virtual device does not support tensor maps"};
  }
  return std::nullopt;
}

Fault refused(const Launch& launch, const Refusal& refusal) {
  Fault fault;
  fault.kind = refusal.kind;
  fault.reason = refusal.kind == Fault::Kind::unsupported ? "unsupported" : "launch_limits";
  fault.kernel = launch.kernel;
  fault.operation = launch.operation;
  fault.explanation = fmt::format("kernel {}: {}", launch.kernel, refusal.what);
  return fault;
}

Fault out_of_time(uint32_t operation) {
  Fault fault;
  fault.kind = Fault::Kind::timeout;
  fault.reason = name(fault.kind);
  fault.operation = operation;
  fault.explanation = "the copies of tensors did not end in time";
  return fault;
}

}  // namespace

Result<std::unique_ptr<Replay>> Replay::prepare(AddressSpace& space, Image& image,
                                                const LaunchPlan& plan,
                                                std::span<const Region* const> arguments) {
  std::unique_ptr<Replay> replay(new Replay(space, image));
  replay->plan_ = plan;
  uint32_t number = 0;
  for (const Allocation& allocation : plan.allocations) {
    const Region* region = nullptr;
    switch (allocation.kind) {
      case Allocation::Kind::argument:
        if (allocation.index < arguments.size()) region = arguments[allocation.index];
        break;
      case Allocation::Kind::variable:
        region = image.variable(allocation.name);
        break;
      case Allocation::Kind::scratch: {
        ASSIGN_OR_RETURN(HostMemory memory, HostMemory::allocate(allocation.bytes, space.random()));
        ASSIGN_OR_RETURN(Region * added,
                         space.add(Region::Kind::memory, allocation.bytes, memory.data(),
                                   fmt::format("scratch allocation {}", number)));
        ++number;
        replay->scratch_.push_back({std::move(memory), added});
        region = added;
        break;
      }
    }
    if (region == nullptr) {
      return Error{
          ErrorKind::invalid,
          fmt::format("the plan's allocation {} is no tensor or variable of this candidate",
                      replay->regions_.size())};
    }
    replay->regions_.push_back(region);
  }
  return replay;
}

Replay::~Replay() {
  for (const Scratch& scratch : scratch_) space_.remove(scratch.region);
}

void Replay::poison_scratch() {
  for (const Scratch& scratch : scratch_) {
    trusted::poison_on_host(Dtype::f32, scratch.memory.bytes() / 4, space_.random(),
                            scratch.memory.data());
    trusted::poison_on_host(Dtype::u8, scratch.memory.bytes() % 4, space_.random(),
                            scratch.memory.data() + scratch.memory.bytes() / 4 * 4);
  }
}

std::byte* Replay::at(const Location& location) const {
  return regions_[location.allocation]->host + location.offset;
}

void Replay::set_memory(const Memset& operation) const {
  std::byte* row = at(operation.target);
  for (uint64_t y = 0; y < operation.height; ++y, row += operation.pitch_bytes) {
    for (uint64_t x = 0; x + operation.element_bytes <= operation.width_bytes;
         x += operation.element_bytes) {
      memcpy(row + x, &operation.value, operation.element_bytes);
    }
  }
}

void Replay::copy_memory(const Copy& operation) const {
  std::byte* target = at(operation.target);
  const auto* source = operation.literal.empty()
                           ? at(operation.source)
                           : reinterpret_cast<const std::byte*>(operation.literal.data());
  const uint64_t source_pitch =
      operation.literal.empty() ? operation.source_pitch_bytes : operation.width_bytes;
  for (uint64_t y = 0; y < operation.height; ++y) {
    memmove(target + y * operation.target_pitch_bytes, source + y * source_pitch,
            operation.width_bytes);
  }
}

bool Replay::copy_elements(const ElementCopy& operation, Clock::time_point deadline) const {
  constexpr uint64_t kElementsBetweenLooks = 1 << 20;
  const ElementGrid elements = with_fewest_axes(operation.elements);
  const uint64_t count = elements.count();
  std::byte* target = at(operation.target);
  const std::byte* source = at(operation.source);
  for (uint64_t i = 0; i < count; ++i) {
    if (i % kElementsBetweenLooks == 0 && Clock::now() > deadline) return false;
    trusted::copy_element(elements, target, source, i);
  }
  return true;
}

RunReport Replay::run(const DeviceInfo& info, const RunOptions& options, int threads) {
  RunReport report;
  const Clock::time_point begin = Clock::now();
  const auto deadline =
      begin + std::chrono::duration_cast<Clock::duration>(
                  std::chrono::duration<double>(std::clamp(options.deadline_seconds, 0.0, 1e6)));
  uint64_t budget = options.instruction_budget;
  // The time of day that kernels see: another one in every run.
  uint64_t clock = space_.random() >> 8;
  poison_scratch();
  for (const uint32_t i : operation_order(plan_, options.schedule_seed)) {
    if (report.fault) break;
    const auto& action = plan_.operations[i].action;
    if (const auto* set = std::get_if<Memset>(&action)) {
      set_memory(*set);
      continue;
    }
    if (const auto* copy = std::get_if<Copy>(&action)) {
      copy_memory(*copy);
      continue;
    }
    if (const auto* copy = std::get_if<ElementCopy>(&action)) {
      if (!copy_elements(*copy, deadline)) report.fault = out_of_time(i);
      continue;
    }
    const auto& asked = std::get<assay::Launch>(action);
    const Clock::time_point launch_begin = Clock::now();
    Launch launch;
    launch.program = image_.kernel(asked.kernel);
    launch.kernel = image_.display_name(asked.kernel);
    launch.operation = i;
    if (launch.program == nullptr) {
      report.fault = refused(launch, {Fault::Kind::launch_failed, "the module has no such kernel"});
      break;
    }
    launch.space = &space_;
    launch.grid = asked.grid;
    launch.block = asked.block;
    const uint32_t* required = launch.program->kernel->required_cluster;
    launch.explicit_cluster = asked.cluster.count() > 0 || required[0] != 0;
    if (asked.cluster.count() > 0) {
      launch.cluster = asked.cluster;
    } else if (required[0] != 0) {
      launch.cluster = {required[0], required[1], required[2]};
    }
    launch.dynamic_shared_bytes = asked.dynamic_shared_bytes;
    launch.schedule_seed = options.schedule_seed;
    launch.multiprocessors = info.multiprocessors;
    launch.clock_start = clock;
    launch.budget = budget;
    launch.deadline = deadline;
    launch.printed = &report.printed;
    launch.parameters.assign(
        std::max<size_t>(asked.parameters.size(), launch.program->parameter_bytes), std::byte{0});
    if (!asked.parameters.empty()) {
      memcpy(launch.parameters.data(), asked.parameters.data(), asked.parameters.size());
    }
    for (const Relocation& relocation : asked.relocations) {
      const uint64_t address = regions_[relocation.target.allocation]->address +
                               static_cast<uint64_t>(relocation.target.offset);
      if (relocation.offset + sizeof(address) <= launch.parameters.size()) {
        memcpy(launch.parameters.data() + relocation.offset, &address, sizeof(address));
      }
    }
    if (const auto problem = refusal(launch, asked, info)) {
      report.fault = refused(launch, *problem);
      break;
    }
    alignas(64) std::array<std::byte, 256> workspace{};
    Region* workspace_region = nullptr;
    if (asked.cooperative) {
      // The barrier of the grid: cooperative groups keeps it behind %envreg1 and %envreg2.
      auto added = space_.add(Region::Kind::memory, workspace.size(), workspace.data(),
                              "the grid's workspace");
      if (added.ok()) workspace_region = *added;
      launch.workspace = workspace_region != nullptr ? workspace_region->address : 0;
    }
    run_launch(launch, threads, asked.cooperative);
    if (workspace_region != nullptr) space_.remove(workspace_region);
    budget -= std::min(budget, launch.used.load());
    clock += kCyclesBetweenLaunches + launch.counters.warp_instructions;
    LaunchStatistics statistics;
    statistics.kernel = launch.kernel;
    statistics.lane_instructions = launch.counters.lane_instructions;
    statistics.warp_instructions = launch.counters.warp_instructions;
    statistics.global_load_sectors = launch.counters.load_sectors;
    statistics.global_store_sectors = launch.counters.store_sectors;
    statistics.shared_bank_conflicts = launch.counters.bank_conflicts;
    statistics.uninitialised_shared_reads = launch.counters.uninitialised_reads;
    statistics.elapsed_ms = milliseconds_since(launch_begin);
    report.launches.push_back(std::move(statistics));
    report.fault = launch.fault;
    for (std::string& note : launch.notes)
      if (report.notes.size() < kMaximumNotes) report.notes.push_back(std::move(note));
  }
  report.elapsed_ms = milliseconds_since(begin);
  return report;
}

RedZoneDamage Replay::damage() const {
  RedZoneDamage total;
  for (const Scratch& scratch : scratch_) {
    const auto [before, after] = scratch.memory.damage();
    if (before + after > 0 && !total.any()) total.buffer = scratch.region->name;
    total.bytes_before += before;
    total.bytes_after += after;
  }
  return total;
}

}  // namespace assay::virtual_gpu
