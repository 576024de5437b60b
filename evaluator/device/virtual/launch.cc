// Theory of operation
//
// Worker threads take clusters (most often of one block) in order from a counter and run each to
// its end, one after the other; a cluster never moves to another thread, and its blocks take turns.
// A block that takes very long may be spinning on what a later block has to do, so after some
// rounds its worker starts further clusters beside it, up to as many as a real device would hold.
// Those of a cooperative launch are all started at once.
//
// The first fault in launch order is the one that counts: blocks after it stop, blocks before it
// finish, so that the same launch reports the same fault on any number of threads.
#include "evaluator/device/virtual/launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "evaluator/device/virtual/cluster.h"

namespace assay::virtual_gpu {
namespace {

constexpr int kPatientRounds = 64;  // of a block alone on its worker
// What the budget of instructions is charged: all 32 lanes of each instruction of a warp, because
// a warp with one active lane takes the interpreter about as long as a full one.
constexpr uint64_t kInstructionCharge = 32;
constexpr uint64_t kWarpCharge = 1024;  // for starting a warp

struct Shared {
  Launch& launch;
  uint64_t clusters;
  uint64_t workers;
  bool cooperative;
  std::atomic<uint64_t> next{0};
};

void record(Launch& launch, uint64_t order, const Fault& fault) {
  const std::lock_guard lock(launch.mutex);
  if (order >= launch.fault_order.load()) return;
  launch.fault_order = order;
  launch.fault = fault;
}

/// Budget and deadline; true: the launch is over.
bool exhausted(Launch& launch, uint64_t order, uint64_t spent) {
  const uint64_t used = launch.used.fetch_add(spent) + spent;
  const bool late = std::chrono::steady_clock::now() >= launch.deadline;
  if (used <= launch.budget && !late) return false;
  Fault fault;
  fault.kind = Fault::Kind::timeout;
  fault.reason = "kernel_time";
  fault.kernel = launch.kernel;
  fault.operation = launch.operation;
  fault.explanation =
      late ? fmt::format("kernel {} did not end before the deadline", launch.kernel)
           : fmt::format(
                 "kernel {} did not end within the budget of instructions (an endless loop, "
                 "or far too much work?)",
                 launch.kernel);
  record(launch, order, fault);
  launch.over = true;
  return true;
}

uint64_t charge_of(const Cluster& cluster) {
  uint64_t instructions = 0;
  for (const auto& block : cluster.blocks) {
    for (const auto& warp : block->warps) instructions += warp->counters.warp_instructions;
  }
  return instructions * kInstructionCharge;
}

class Worker {
 public:
  explicit Worker(Shared& shared) : shared_(shared) {}

  void run() {
    while (true) {
      while (wants_cluster() && start_cluster()) {
      }
      if (resident_.empty()) break;
      round();
    }
    collect();
  }

 private:
  struct Resident {
    std::unique_ptr<Cluster> cluster;
    uint64_t charged = 0;
    int rounds = 0;

    uint64_t order() const { return cluster->blocks.front()->order; }
  };

  bool wants_cluster() const {
    if (resident_.empty()) return true;
    // As many as the device could hold of the smallest blocks, shared out among the workers.
    const uint64_t limit = uint64_t{shared_.launch.multiprocessors} * 16 / shared_.workers + 1;
    if (shared_.cooperative) return resident_.size() * shared_.workers < shared_.clusters;
    return resident_.size() < limit && resident_.back().rounds >= kPatientRounds;
  }

  bool start_cluster() {
    Launch& launch = shared_.launch;
    const uint64_t number = shared_.next.fetch_add(1);
    const uint64_t size = launch.cluster.count();
    if (number >= shared_.clusters || number * size >= launch.fault_order.load() || launch.over) {
      return false;
    }
    Resident resident;
    if (!spare_.empty()) {
      resident.cluster = std::move(spare_.back());
      spare_.pop_back();
    } else {
      resident.cluster = std::make_unique<Cluster>();
      for (uint64_t rank = 0; rank < size; ++rank) {
        resident.cluster->blocks.push_back(std::make_unique<Block>());
      }
    }
    Cluster& cluster = *resident.cluster;
    resident.charged = charge_of(cluster);
    cluster.arrived = 0;
    for (uint64_t rank = 0; rank < size; ++rank) {
      Block& block = *cluster.blocks[rank];
      begin_block(block, launch, cluster, number * size + rank);
      pending_ += kWarpCharge * block.warp_order.size();
    }
    resident_.push_back(std::move(resident));
    return true;
  }

  /// One slice for each warp of a cluster. When one of its blocks fails, all of it ends.
  BlockState run_cluster(Cluster& cluster) {
    bool all_done = true;
    for (const auto& block : cluster.blocks) {
      if (!block->done) {
        const BlockState state = run_block(*block);
        if (state == BlockState::failed) return fail(*block);
        block->done = state == BlockState::done;
      }
      all_done &= block->done;
    }
    if (all_done) return BlockState::done;
    // A warp may have woken others that came before it in this round.
    const auto& blocks = cluster.blocks;
    if (std::ranges::any_of(blocks, [](const auto& block) { return any_ready(*block); })) {
      return BlockState::running;
    }
    Block& stuck = **std::ranges::find_if(blocks, [](const auto& block) { return !block->done; });
    raise_deadlock(stuck);
    return fail(stuck);
  }

  BlockState fail(const Block& block) {
    record(shared_.launch, block.order, *block.fault);
    return BlockState::failed;
  }

  /// One slice for each warp of each resident cluster.
  void round() {
    Launch& launch = shared_.launch;
    for (size_t i = 0; i < resident_.size();) {
      Resident& resident = resident_[i];
      if (resident.order() > launch.fault_order.load() || launch.over) {
        retire(i);
        continue;
      }
      const BlockState state = run_cluster(*resident.cluster);
      const uint64_t charge = charge_of(*resident.cluster);
      pending_ += charge - resident.charged;
      resident.charged = charge;
      ++resident.rounds;
      // Small blocks share one look at the clock.
      if (pending_ > 1'000'000 || state == BlockState::running) {
        exhausted(launch, resident.order(), pending_);
        pending_ = 0;
      }
      if (state == BlockState::running) {
        ++i;
      } else {
        retire(i);
      }
    }
  }

  void retire(size_t index) {
    spare_.push_back(std::move(resident_[index].cluster));
    resident_.erase(resident_.begin() + static_cast<ptrdiff_t>(index));
  }

  void add_counters(const Block& block) {
    Counters& to = shared_.launch.counters;
    for (const auto& warp : block.warps) {
      const Counters& from = warp->counters;
      to.lane_instructions += from.lane_instructions;
      to.warp_instructions += from.warp_instructions;
      to.load_sectors += from.load_sectors;
      to.store_sectors += from.store_sectors;
      to.bank_conflicts += from.bank_conflicts;
      to.uninitialised_reads += from.uninitialised_reads;
    }
  }

  void collect() {
    Launch& launch = shared_.launch;
    const std::lock_guard lock(launch.mutex);
    launch.used += pending_;
    for (const auto& cluster : spare_) {
      for (const auto& block : cluster->blocks) add_counters(*block);
    }
  }

  Shared& shared_;
  std::vector<Resident> resident_;
  std::vector<std::unique_ptr<Cluster>> spare_;
  uint64_t pending_ = 0;  // not yet charged
};

}  // namespace

uint64_t cluster_number(const Launch& launch, uint64_t order) {
  if (launch.schedule_seed == 0) return order;
  const uint64_t clusters = launch.grid.count() / launch.cluster.count();
  // order * step + seed modulo the number of clusters, the step prime to it.
  uint64_t step = (launch.schedule_seed * uint64_t{2654435761u} >> 3) % clusters + 1;
  while (std::gcd(step, clusters) != 1) ++step;
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<uint64_t>((Wide{order} * step + launch.schedule_seed) % clusters);
}

void run_launch(Launch& launch, int threads, bool cooperative) {
  const uint64_t clusters = launch.grid.count() / launch.cluster.count();
  const auto workers = std::clamp<uint64_t>(clusters, 1, static_cast<uint64_t>(threads));
  Shared shared{launch, clusters, workers, cooperative};
  if (workers == 1) {
    Worker(shared).run();
    return;
  }
  std::vector<std::thread> pool;
  for (uint64_t i = 0; i < workers; ++i) {
    pool.emplace_back([&shared] { Worker(shared).run(); });
  }
  for (std::thread& thread : pool) thread.join();
}

}  // namespace assay::virtual_gpu
