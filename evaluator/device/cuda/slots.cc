#include "evaluator/device/cuda/slots.h"

#include <fmt/format.h>

#include <algorithm>

#include "evaluator/check/trusted.h"

namespace assay::cuda {

namespace {

constexpr uint32_t kMaxSlots = 4096;
constexpr uint64_t kStaggerBytes = 16 * 256;
constexpr double kMemoryShare = 0.6;

size_t index_of(Side side) { return side == Side::candidate ? 1 : 0; }

}  // namespace

Region Slots::reserve(uint64_t bytes) {
  const Region region{slot_bytes_ + trusted::kRedZoneBytes, bytes};
  slot_bytes_ = region.offset + (bytes + 255) / 256 * 256 + trusted::kRedZoneBytes;
  return region;
}

void Slots::lay_out(const LaunchPlan& baseline, const LaunchPlan& candidate) {
  for (const BoundTensor& tensor : bound_.tensors) {
    const bool in = tensor.direction == Direction::in;
    inputs_.push_back(in ? reserve(tensor.bytes()) : Region{});
    for (auto& outputs : outputs_) outputs.push_back(in ? Region{} : reserve(tensor.bytes()));
  }
  for (const Side side : {Side::baseline, Side::candidate}) {
    const size_t s = index_of(side);
    for (const Allocation& allocation :
         (side == Side::candidate ? candidate : baseline).allocations) {
      const bool scratch = allocation.kind == Allocation::Kind::scratch;
      scratch_[s].push_back(scratch);
      if (scratch)
        allocations_[s].push_back(reserve(allocation.bytes));
      else if (allocation.kind == Allocation::Kind::argument)
        allocations_[s].push_back(bound_.tensors[allocation.index].direction == Direction::in
                                      ? inputs_[allocation.index]
                                      : outputs_[s][allocation.index]);
      else
        allocations_[s].push_back(Region{});
    }
  }
}

Result<std::unique_ptr<Slots>> Slots::create(const Context& context, TrustedModule& trusted,
                                             const BoundCase& bound, const LaunchPlan& baseline,
                                             const LaunchPlan& candidate, uint32_t wanted,
                                             uint64_t seed) {
  std::unique_ptr<Slots> slots(new Slots(context, trusted, bound));
  slots->lay_out(baseline, candidate);
  const Driver& driver = context.driver();
  const uint64_t stride = slots->slot_bytes_ + kStaggerBytes;
  size_t free_bytes = 0, total_bytes = 0;
  driver.cuMemGetInfo_v2(&free_bytes, &total_bytes);
  const auto room = static_cast<uint64_t>(kMemoryShare * static_cast<double>(free_bytes)) / stride;
  const uint64_t evicting = 5 * context.info().l2_bytes / std::max<uint64_t>(1, stride) + 2;
  const uint64_t count =
      std::min({std::max<uint64_t>({wanted, evicting, 4}), room, uint64_t{kMaxSlots}});
  if (count == 0)
    return Error{
        ErrorKind::device,
        fmt::format("one set of tensors needs {} MiB, more than the GPU has free", stride >> 20)};
  RETURN_IF_ERROR(expect(driver, driver.cuMemAlloc_v2(&slots->arena_, count * stride),
                         "allocating the slots of a timed case"));
  RETURN_IF_ERROR(expect(driver, driver.cuMemAlloc_v2(&slots->table_, count * sizeof(CUdeviceptr)),
                         "allocating the slots of a timed case"));
  std::mt19937_64 random(seed);
  for (uint64_t slot = 0; slot < count; ++slot)
    slots->bases_.push_back(slots->arena_ + slot * stride + random() % 16 * 256);
  std::ranges::shuffle(slots->bases_, random);
  RETURN_IF_ERROR(expect(
      driver,
      driver.cuMemcpyHtoD_v2(slots->table_, slots->bases_.data(), count * sizeof(CUdeviceptr)),
      "uploading"));
  const auto zones = [&](const std::vector<Region>& regions) -> Result<void> {
    for (const Region& region : regions)
      if (region.offset != 0)
        RETURN_IF_ERROR(trusted.write_red_zones(slots->everywhere(region), region.bytes));
    return {};
  };
  RETURN_IF_ERROR(zones(slots->inputs_));
  for (const size_t side : {size_t{0}, size_t{1}}) {
    RETURN_IF_ERROR(zones(slots->outputs_[side]));
    RETURN_IF_ERROR(zones(slots->allocations_[side]));
  }
  return slots;
}

Slots::~Slots() {
  const Driver& driver = context_.driver();
  if (arena_) driver.cuMemFree_v2(arena_);
  if (table_) driver.cuMemFree_v2(table_);
}

CUdeviceptr Slots::address(uint32_t slot, Side side, size_t allocation) const {
  const Region& region = allocations_[index_of(side)][allocation];
  return region.offset == 0 ? 0 : bases_[slot] + region.offset;
}

Region Slots::output(Side side, size_t tensor) const { return outputs_[index_of(side)][tensor]; }

Result<void> Slots::fill(Range range, Side side, uint64_t seed, uint32_t generation) {
  for (size_t i = 0; i < bound_.tensors.size(); ++i) {
    const BoundTensor& tensor = bound_.tensors[i];
    if (tensor.direction == Direction::out) continue;
    const Region& region =
        tensor.direction == Direction::in ? inputs_[i] : outputs_[index_of(side)][i];
    RETURN_IF_ERROR(trusted_.fill(in(range, region), tensor.fill, seed, generation * kMaxSlots));
  }
  return {};
}

Result<void> Slots::poison(Range range, Side side, uint64_t key) {
  const size_t s = index_of(side);
  for (size_t i = 0; i < bound_.tensors.size(); ++i) {
    const BoundTensor& tensor = bound_.tensors[i];
    if (tensor.direction == Direction::out)
      RETURN_IF_ERROR(
          trusted_.poison(in(range, outputs_[s][i]), tensor.dtype, tensor.elements, key));
  }
  for (size_t i = 0; i < allocations_[s].size(); ++i)
    if (scratch_[s][i])
      RETURN_IF_ERROR(
          trusted_.poison(in(range, allocations_[s][i]), Dtype::u8, allocations_[s][i].bytes, key));
  return {};
}

Result<uint64_t> Slots::hash_inputs(Range range, uint64_t key) {
  uint64_t total = 0;
  for (size_t i = 0; i < bound_.tensors.size(); ++i) {
    if (bound_.tensors[i].direction != Direction::in) continue;
    ASSIGN_OR_RETURN(const uint64_t hash, trusted_.hash(in(range, inputs_[i]), inputs_[i].bytes, key));
    total += trusted::mix(hash + i);
  }
  return total;
}

Result<Comparison> Slots::compare(Range range, size_t tensor) {
  const BoundTensor& bound = bound_.tensors[tensor];
  return trusted_.compare(in(range, outputs_[1][tensor]), in(range, outputs_[0][tensor]),
                          bound.dtype, bound.elements, bound.tolerance);
}

Result<RedZoneDamage> Slots::check_red_zones() {
  RedZoneDamage total;
  const auto look = [&](const std::vector<Region>& regions, const char* what) -> Result<void> {
    for (const Region& region : regions) {
      if (region.offset == 0) continue;
      ASSIGN_OR_RETURN(const RedZoneDamage damage,
                       trusted_.check_red_zones(everywhere(region), region.bytes));
      if (damage.any() && !total.any()) total.buffer = what;
      total.bytes_before += damage.bytes_before;
      total.bytes_after += damage.bytes_after;
    }
    return {};
  };
  RETURN_IF_ERROR(look(inputs_, "an input"));
  RETURN_IF_ERROR(look(outputs_[1], "an output"));
  RETURN_IF_ERROR(look(allocations_[1], "a scratch buffer"));
  return total;
}

}  // namespace assay::cuda
