#include "evaluator/check/run_cost.h"

#include <algorithm>

#include "evaluator/check/buffers.h"

namespace assay {

namespace {

constexpr double kEnoughMs = 50;
constexpr uint64_t kPoison = 0x7a17ab1e;

uint64_t lane_instructions(const RunReport& report) {
  uint64_t count = 0;
  for (const LaunchStatistics& launch : report.launches) count += launch.lane_instructions;
  return count;
}

}  // namespace

Result<std::optional<double>> run_cost(Device& device, const CheckJob& job) {
  const auto& tensors = job.bound.tensors;
  Buffers buffers(device);
  RETURN_IF_ERROR(buffers.allocate(tensors));
  Result<std::unique_ptr<Module>> module = device.load(*job.candidate);
  if (!module.ok() && module.error().kind == ErrorKind::unsupported) return std::optional<double>();
  if (!module.ok()) return module.error();
  ASSIGN_OR_RETURN(const std::unique_ptr<PreparedPlan> plan,
                   device.prepare(**module, job.candidate_plan, buffers.all()));
  std::optional<double> least;
  double total_ms = 0;
  for (int run = 0; run < std::max(1, job.repeats) && total_ms < kEnoughMs; ++run) {
    if (run > 0) RETURN_IF_ERROR(device.reset(**module));
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].direction == Direction::out)
        RETURN_IF_ERROR(device.poison(buffers[i], tensors[i].dtype, kPoison));
      else
        RETURN_IF_ERROR(device.fill(buffers[i], tensors[i].fill, FillKey{job.seed, 0}));
    }
    ASSIGN_OR_RETURN(const RunReport ran, device.run(*plan, job.run));
    if (ran.fault) return std::optional<double>();
    if (const uint64_t counted = lane_instructions(ran); counted > 0)
      return std::optional<double>(static_cast<double>(counted));
    total_ms += ran.elapsed_ms;
    least = least ? std::min(*least, ran.elapsed_ms) : ran.elapsed_ms;
  }
  return least;
}

}  // namespace assay
