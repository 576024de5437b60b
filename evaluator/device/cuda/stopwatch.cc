// Theory of operation
//
// A side's burst is one graph: a clock stamp, a start event, K calls in a strict chain, an end
// event, a clock stamp. Call j works on slot j of a group of slots whose order and addresses are
// random; where memory has room for more slots than a burst uses, several groups take turns, and
// the sides swap their outputs from one generation to the next: no side is lucky with its
// addresses. Two calls, chosen in
// secret, have a probe before them and one behind: a hash of their output. After the burst the same
// hashes are taken again. An output that was not poison any more before its call was written too
// early, one that differs afterwards too late.
//
// Before each burst, untimed: inputs of a new generation (both sides of a generation read the same
// ones), poisoned outputs and scratch, and a read of a clean buffer of twice the L2. Before a
// candidate's burst the baseline's outputs are poisoned too: nothing expected is in memory while a
// candidate runs. The inputs are hashed before and after it, under a secret key.
#include "evaluator/device/cuda/stopwatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "evaluator/check/explain.h"
#include "evaluator/timing/statistics.h"

namespace assay::cuda {

namespace {

/// Slots of which one burst cannot touch more at any device's bandwidth (6 TB/s).
uint32_t most_slots(double burst_ms, double bytes) {
  const double calls = burst_ms * 1e-3 * 6e12 / std::max(bytes, 1.0) + 1;
  return static_cast<uint32_t>(std::clamp(calls, 1.0, 2000.0));
}

/// Whether a side's calls work on slots.
bool has_slots(Side side) { return side == Side::baseline || side == Side::candidate; }

TimingViolation violation_of(const Fault& fault) { return {fault.reason, fault.explanation}; }

}  // namespace

Result<std::unique_ptr<CudaStopwatch>> CudaStopwatch::create(const Context& context,
                                                             TrustedModule& trusted,
                                                             const StopwatchSetup& setup) {
  std::unique_ptr<CudaStopwatch> watch(new CudaStopwatch(context, trusted));
  const auto timed_side = [](const TimedPlan& timed) {
    return TimedSide{static_cast<CudaModule*>(timed.module), timed.plan};
  };
  watch->baseline_ = timed_side(setup.baseline);
  watch->candidate_ = timed_side(setup.candidate);
  watch->seed_ = setup.seed;
  watch->hash_key_ = std::mt19937_64(setup.seed)();
  watch->deadline_seconds_ = setup.deadline_seconds;
  watch->hash_every_burst_ = setup.hash_every_burst;
  ASSIGN_OR_RETURN(
      watch->slots_,
      Slots::create(context, trusted, setup.bound, *setup.baseline.plan, *setup.candidate.plan,
                    most_slots(setup.burst_ms, setup.bound.bytes), setup.seed));
  const Driver& driver = context.driver();
  RETURN_IF_ERROR(watch->check(driver.cuEventCreate(&watch->begin_, CU_EVENT_DEFAULT), "events"));
  RETURN_IF_ERROR(watch->check(driver.cuEventCreate(&watch->end_, CU_EVENT_DEFAULT), "events"));
  const size_t stamp_bytes = 2 * 16 * size_t{context.info().multiprocessors};
  RETURN_IF_ERROR(watch->check(driver.cuMemAlloc_v2(&watch->stamps_, stamp_bytes), "allocating"));
  RETURN_IF_ERROR(
      watch->check(driver.cuMemAlloc_v2(&watch->probe_results_, 4 * kProbes * 8), "allocating"));
  for (const Side side : {Side::baseline, Side::candidate}) {
    auto& literals = watch->literals_[static_cast<size_t>(side)];
    for (const Operation& operation : watch->side_of(side).plan->operations) {
      CUdeviceptr& literal = literals.emplace_back(0);
      const auto* copy = std::get_if<Copy>(&operation.action);
      if (!copy || copy->literal.empty()) continue;
      RETURN_IF_ERROR(
          watch->check(driver.cuMemAlloc_v2(&literal, copy->literal.size()), "allocating"));
      RETURN_IF_ERROR(
          watch->check(driver.cuMemcpyHtoD_v2(literal, copy->literal.data(), copy->literal.size()),
                       "uploading"));
    }
  }
  return watch;
}

CudaStopwatch::~CudaStopwatch() {
  if (context_.lost()) return;
  const Driver& driver = context_.driver();
  for (auto& graphs : graphs_)
    for (Graph& graph : graphs) destroy(graph);
  for (const auto& literals : literals_)
    for (const CUdeviceptr literal : literals)
      if (literal) driver.cuMemFree_v2(literal);
  if (begin_) driver.cuEventDestroy_v2(begin_);
  if (end_) driver.cuEventDestroy_v2(end_);
  if (stamps_) driver.cuMemFree_v2(stamps_);
  if (probe_results_) driver.cuMemFree_v2(probe_results_);
}

void CudaStopwatch::destroy(Graph& graph) {
  if (graph.executable) context_.driver().cuGraphExecDestroy(graph.executable);
  if (graph.graph) context_.driver().cuGraphDestroy(graph.graph);
  graph = Graph{};
}

/// Graphs are made when a burst first needs them. Both sides' go, since they share the groups.
Result<void> CudaStopwatch::set_calls(Side side, uint32_t calls) {
  if (calls_[static_cast<size_t>(side)] == calls) return {};
  calls_[static_cast<size_t>(side)] = calls;
  for (auto& graphs : graphs_) {
    for (Graph& graph : graphs) destroy(graph);
    graphs.clear();
  }
  filled_ = {0, 0};
  filled_generation_ = 0;
  return {};
}

/// Two neighbouring generations have the same slots with the sides' outputs swapped.
CudaStopwatch::Graph& CudaStopwatch::graph_of(Side side, uint32_t generation) {
  const uint32_t most = std::max(calls(Side::baseline), calls(Side::candidate));
  const uint32_t groups =
      !has_slots(side)
          ? 1
          : std::clamp(std::min(slots_->count(), 1024u) / std::max(most, 1u), 1u, kMaxGroups);
  auto& graphs = graphs_[static_cast<size_t>(side)];
  graphs.resize(std::max<size_t>(graphs.size(), 2 * groups));
  const uint32_t group = generation / 2 % groups;
  Graph& graph = graphs[2 * group + generation % 2];
  graph.first = group * most;
  return graph;
}

/// Two calls of the graph, and a part of the first output that is large enough: the same of both
/// sides, because a probe gives the memory time to write back what the call before left.
void CudaStopwatch::place_probes(Side side, Graph& graph, uint64_t seed) const {
  std::mt19937_64 random(seed);
  const auto& tensors = slots_->bound().tensors;
  const auto output = std::ranges::find_if(tensors, [](const BoundTensor& tensor) {
    return tensor.direction != Direction::in && tensor.bytes() >= 8;
  });
  graph.probe_count = 0;
  if (output == tensors.end() || !has_slots(side)) return;
  const Region region = slots_->output(side, static_cast<size_t>(output - tensors.begin()));
  graph.probe_count = std::min(kProbes, graph.calls);
  for (uint32_t i = 0; i < graph.probe_count; ++i) {
    Probe& probe = graph.probes[i];
    probe.call = static_cast<uint32_t>(random() % graph.calls);
    if (i > 0 && probe.call == graph.probes[0].call) probe.call = (probe.call + 1) % graph.calls;
    probe.bytes = std::min<uint64_t>(region.bytes, 64 << 10) / 8 * 8;
    const uint64_t room = (region.bytes - probe.bytes) / 8;
    probe.address = slots_->base(graph.first + probe.call) + region.offset +
                    (room > 0 ? random() % room * 8 : 0);
  }
}

Result<void> CudaStopwatch::capture(Side side, Graph& graph) {
  const Driver& driver = context_.driver();
  const CUstream stream = context_.stream();
  RETURN_IF_ERROR(check(driver.cuStreamSynchronize(stream), "waiting for the device"));
  RETURN_IF_ERROR(check(driver.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                        "starting a capture"));
  const auto body = [&]() -> Result<void> {
    RETURN_IF_ERROR(trusted_.stamp(stream, stamps_));
    RETURN_IF_ERROR(
        check(driver.cuEventRecordWithFlags(begin_, stream, CU_EVENT_RECORD_EXTERNAL), "timing"));
    for (uint32_t call = 0; call < graph.calls; ++call) {
      const auto probe = [&](uint32_t row) -> Result<void> {
        for (uint32_t i = 0; i < graph.probe_count; ++i)
          if (graph.probes[i].call == call)
            RETURN_IF_ERROR(trusted_.probe(stream, graph.probes[i].address, graph.probes[i].bytes,
                                           hash_key_, probe_results_ + 8 * (row * kProbes + i)));
        return {};
      };
      RETURN_IF_ERROR(probe(0));
      RETURN_IF_ERROR(capture_call(side, graph.first + call));
      if (refused_) return {};
      RETURN_IF_ERROR(probe(1));
    }
    RETURN_IF_ERROR(
        check(driver.cuEventRecordWithFlags(end_, stream, CU_EVENT_RECORD_EXTERNAL), "timing"));
    return trusted_.stamp(stream, stamps_ + 16 * context_.info().multiprocessors);
  };
  const Result<void> captured = body();
  const CUresult ended = driver.cuStreamEndCapture(stream, &graph.graph);
  if (!captured.ok() || refused_) return captured;
  RETURN_IF_ERROR(check(ended, "ending a capture"));
  RETURN_IF_ERROR(check(driver.cuGraphInstantiateWithFlags(&graph.executable, graph.graph, 0),
                        "making the graph of a burst"));
  return check(driver.cuGraphUpload(graph.executable, stream), "uploading the graph of a burst");
}

Result<void> CudaStopwatch::capture_call(Side side, uint32_t slot) {
  const CUstream stream = context_.stream();
  if (side == Side::ruler) return trusted_.ruler(stream);
  if (side == Side::empty) {
    for (const Operation& operation : candidate_.plan->operations)
      if (const auto* launch = std::get_if<Launch>(&operation.action))
        RETURN_IF_ERROR(trusted_.empty(stream, {launch->grid.x, launch->grid.y, launch->grid.z},
                                       {launch->block.x, launch->block.y, launch->block.z},
                                       launch->dynamic_shared_bytes));
    return {};
  }
  const TimedSide& timed = side_of(side);
  std::vector<CUdeviceptr> addresses;
  for (size_t i = 0; i < timed.plan->allocations.size(); ++i) {
    const Allocation& allocation = timed.plan->allocations[i];
    if (allocation.kind == Allocation::Kind::variable) {
      ASSIGN_OR_RETURN(const auto variable, timed.module->variable(allocation.name));
      addresses.push_back(variable.first);
    } else {
      addresses.push_back(slots_->address(slot, side, i));
    }
  }
  ASSIGN_OR_RETURN(const std::optional<Fault> fault,
                   capture_plan(context_.driver(), stream, trusted_, *timed.module, *timed.plan,
                                addresses, literals_[static_cast<size_t>(side)]));
  if (fault && side == Side::candidate)
    refused_ = {"launch_limits", fault->explanation};
  else if (fault)
    return Error{ErrorKind::device, "the baseline: " + fault->explanation};
  return {};
}

Result<void> CudaStopwatch::refresh(Side side, uint32_t generation, const Graph& graph) {
  const uint64_t key = seed_ ^ (uint64_t{generation} << 1);
  const Slots::Range range{graph.first, graph.calls};
  if (has_slots(side)) {
    if (generation != filled_generation_ || range.first != filled_.first) {
      RETURN_IF_ERROR(slots_->fill_inputs(range, generation));
      filled_ = range;
      filled_generation_ = generation;
    } else if (range.count > filled_.count) {
      RETURN_IF_ERROR(slots_->fill_inputs(
          {range.first + filled_.count, range.count - filled_.count}, generation));
      filled_ = range;
    }
    if (side == Side::baseline) {
      RETURN_IF_ERROR(slots_->poison(range, side, key));
      RETURN_IF_ERROR(slots_->fill_outputs(range, side, generation));
    }
  }
  if (side == Side::baseline) baseline_outputs_.push_back({range, generation % 2 != 0});
  if (side == Side::candidate) {
    for (const Written& written : baseline_outputs_) {
      slots_->swap(written.swapped);
      RETURN_IF_ERROR(slots_->hide(written.range, Side::baseline, key + 1));
    }
    slots_->swap(generation % 2 != 0);
    // A neighbour's output may be where this one's goes.
    RETURN_IF_ERROR(slots_->poison(range, side, key));
    RETURN_IF_ERROR(slots_->fill_outputs(range, side, generation));
    baseline_outputs_.clear();
  }
  RETURN_IF_ERROR(check(context_.driver().cuCtxResetPersistingL2Cache(), "resetting L2"));
  return {};
}

Result<CUresult> CudaStopwatch::launch(Graph& graph) {
  const Driver& driver = context_.driver();
  const CUresult launched = driver.cuGraphLaunch(graph.executable, context_.stream());
  if (launched != CUDA_SUCCESS) return launched;
  return context_.wait(std::chrono::duration<double>(deadline_seconds_));
}

Result<void> CudaStopwatch::probe_now(const Graph& graph, uint32_t row) {
  for (uint32_t i = 0; i < graph.probe_count; ++i)
    RETURN_IF_ERROR(trusted_.probe(context_.stream(), graph.probes[i].address,
                                   graph.probes[i].bytes, hash_key_,
                                   probe_results_ + 8 * (row * kProbes + i)));
  return {};
}

Result<std::array<uint64_t, 4 * CudaStopwatch::kProbes>> CudaStopwatch::probe_results() {
  std::array<uint64_t, 4 * kProbes> results{};
  const Driver& driver = context_.driver();
  RETURN_IF_ERROR(check(driver.cuStreamSynchronize(context_.stream()), "waiting for the device"));
  RETURN_IF_ERROR(
      check(driver.cuMemcpyDtoH_v2(results.data(), probe_results_, sizeof results), "reading"));
  return results;
}

Result<double> CudaStopwatch::frequency() {
  const uint32_t count = context_.info().multiprocessors;
  std::vector<std::array<uint64_t, 2>> stamps(2 * size_t{count});
  RETURN_IF_ERROR(check(
      context_.driver().cuMemcpyDtoH_v2(stamps.data(), stamps_, stamps.size() * 16), "reading"));
  std::vector<double> frequencies;
  for (uint32_t i = 0; i < count; ++i) {
    const auto& before = stamps[i];
    const auto& after = stamps[count + i];
    if (before[0] == 0 || after[0] <= before[0] || after[1] <= before[1]) continue;
    frequencies.push_back(1e3 * static_cast<double>(after[1] - before[1]) /
                          static_cast<double>(after[0] - before[0]));
  }
  return frequencies.empty() ? 0 : statistics::median(frequencies);
}

Result<Burst> CudaStopwatch::burst(Side side, uint32_t generation) {
  Burst refused;
  refused.violation = refused_;
  if (refused_) return refused;
  return run(side, generation);
}

Result<Burst> CudaStopwatch::run(Side side, uint32_t generation) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const Driver& driver = context_.driver();
  Graph& graph = graph_of(side, generation);
  slots_->swap(generation % 2 != 0);
  const bool new_generation = generation != filled_generation_;
  Burst burst;
  if (!graph.executable) {
    graph.calls = calls(side);
    place_probes(side, graph, seed_ ^ (uint64_t{graph.first} << 40 | uint64_t{graph.calls} << 8));
    RETURN_IF_ERROR(capture(side, graph));
    burst.violation = refused_;
    if (refused_) return burst;
  }
  RETURN_IF_ERROR(refresh(side, generation, graph));
  RETURN_IF_ERROR(check(
      driver.cuMemsetD8Async(probe_results_, 0, 4 * kProbes * 8, context_.stream()), "clearing"));
  RETURN_IF_ERROR(check(
      driver.cuMemsetD8Async(stamps_, 0, 32 * context_.info().multiprocessors, context_.stream()),
      "clearing"));
  RETURN_IF_ERROR(probe_now(graph, 2));
  const Slots::Range range{graph.first, graph.calls};
  uint64_t before = 0;
  // Where every burst counts, the baseline's inputs are read too: what is left in the caches and in
  // memory's queues before a burst must not tell the sides apart.
  const bool hashed =
      hash_every_burst_ ? has_slots(side) : side == Side::candidate && new_generation;
  if (hashed) {
    ASSIGN_OR_RETURN(before, slots_->hash_inputs(range, hash_key_));
  }
  RETURN_IF_ERROR(trusted_.flush_l2());
  RETURN_IF_ERROR(check(driver.cuStreamSynchronize(context_.stream()), "waiting for the device"));
  burst.refresh_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();

  ASSIGN_OR_RETURN(const CUresult result, launch(graph));
  if (result != CUDA_SUCCESS) {
    context_.lose();
    if (result == CUDA_ERROR_NOT_READY)
      burst.violation = {"kernel_time", "a timed call did not end in time"};
    else if (const auto fault = fault_of(driver, result, ""); fault && side == Side::candidate)
      burst.violation = violation_of(*fault);
    if (!burst.violation || side != Side::candidate)
      return Error{ErrorKind::device, "timing the baseline: " + describe(driver, result)};
    return burst;
  }
  float elapsed_ms = 0;
  RETURN_IF_ERROR(check(driver.cuEventElapsedTime_v2(&elapsed_ms, begin_, end_), "timing"));
  burst.elapsed_ms = elapsed_ms;
  ASSIGN_OR_RETURN(burst.frequency_mhz, frequency());
  if (side != Side::candidate) return burst;

  RETURN_IF_ERROR(probe_now(graph, 3));
  ASSIGN_OR_RETURN(const auto probes, probe_results());
  for (uint32_t i = 0; i < graph.probe_count; ++i) {
    if (probes[i] != probes[2 * kProbes + i])
      burst.violation = {"early_write", "an output was written before its call"};
    if (probes[kProbes + i] != probes[3 * kProbes + i])
      burst.violation = {"late_write", "an output was still written after its call had ended"};
  }
  if (!hashed) return burst;
  ASSIGN_OR_RETURN(const uint64_t after, slots_->hash_inputs(range, hash_key_));
  if (after != before)
    burst.violation = {"input_changed", "a timed call changed its inputs; inputs are read-only"};
  return burst;
}

Result<std::optional<TimingViolation>> CudaStopwatch::verify(uint32_t generation,
                                                             bool baseline_ran) {
  using Found = std::optional<TimingViolation>;
  const Slots::Range range{graph_of(Side::candidate, generation).first,
                           std::min(calls(Side::baseline), calls(Side::candidate))};
  if (!baseline_ran) {
    ASSIGN_OR_RETURN(const Burst untimed, run(Side::baseline, generation));
    (void)untimed;
  }
  slots_->swap(generation % 2 != 0);
  const auto& tensors = slots_->bound().tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].direction == Direction::in) continue;
    ASSIGN_OR_RETURN(const Comparison comparison, slots_->compare(range, i));
    if (comparison.passed()) continue;
    const std::string seen =
        comparison.mismatches > 0
            ? fmt::format("{} of {} elements over {} calls are outside the tolerance",
                          comparison.mismatches, comparison.elements, range.count)
            : fmt::format("the relative error of {} calls is {:.3g} in the Frobenius norm",
                          range.count, comparison.rel_frobenius);
    return Found(
        {"mismatch", fmt::format("in a timed call: output {}: {}", tensors[i].name, seen)});
  }
  return Found();
}

Result<std::vector<std::string>> CudaStopwatch::tensors(Side side, uint32_t generation,
                                                        uint32_t call) {
  slots_->swap(generation % 2 != 0);
  return slots_->download(graph_of(Side::candidate, generation).first + call, side);
}

Result<std::optional<TimingViolation>> CudaStopwatch::final_check() {
  using Found = std::optional<TimingViolation>;
  ASSIGN_OR_RETURN(const RedZoneDamage damage, slots_->check_red_zones());
  if (damage.any()) return Found({"red_zone", explain_red_zone(damage)});
  return Found();
}

void CudaStopwatch::rest(double milliseconds) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
}

}  // namespace assay::cuda
