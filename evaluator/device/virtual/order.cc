#include "evaluator/device/virtual/order.h"

#include <numeric>
#include <queue>
#include <random>
#include <utility>

namespace assay::virtual_gpu {

std::vector<uint32_t> operation_order(const LaunchPlan& plan, uint32_t schedule_seed) {
  const auto count = static_cast<uint32_t>(plan.operations.size());
  std::vector<uint32_t> recorded(count);
  std::iota(recorded.begin(), recorded.end(), 0u);
  if (schedule_seed == 0) return recorded;

  std::vector<std::vector<uint32_t>> successors(count);
  std::vector<size_t> waits_for(count);
  for (uint32_t i = 0; i < count; ++i) {
    for (const uint32_t dependency : plan.operations[i].depends_on) {
      if (dependency >= i) return recorded;
      successors[dependency].push_back(i);
      ++waits_for[i];
    }
  }
  std::mt19937 random(schedule_seed);
  const auto rank = [&](uint32_t operation) {
    return schedule_seed == 1 ? operation : static_cast<uint32_t>(random());
  };
  std::priority_queue<std::pair<uint32_t, uint32_t>> ready;  // rank, operation
  for (uint32_t i = 0; i < count; ++i)
    if (waits_for[i] == 0) ready.emplace(rank(i), i);
  std::vector<uint32_t> order;
  order.reserve(count);
  while (!ready.empty()) {
    const uint32_t operation = ready.top().second;
    ready.pop();
    order.push_back(operation);
    for (const uint32_t successor : successors[operation])
      if (--waits_for[successor] == 0) ready.emplace(rank(successor), successor);
  }
  return order;
}

}  // namespace assay::virtual_gpu
