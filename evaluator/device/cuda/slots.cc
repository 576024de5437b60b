#include "evaluator/device/cuda/slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "evaluator/check/trusted.h"
#include "tasks/fill_element.h"

namespace assay::cuda {

namespace {

constexpr uint32_t kMaxSlots = 4096;
constexpr uint64_t kStaggerBytes = 16 * 256;
constexpr double kMemoryShare = 0.6;
constexpr uint64_t kLongRow = 4096;  // of fills whose rows are written from front to back
constexpr uint64_t kFewRows = 1024;
constexpr uint32_t kPoolSize = 4;
constexpr uint32_t kPoolGeneration = 0xfff00000;  // of no burst

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
  for (const Side side : {Side::baseline, Side::candidate})
    for (const Allocation& allocation :
         (side == Side::candidate ? candidate : baseline).allocations) {
      Place& place = places_[index_of(side)].emplace_back();
      place.scratch = allocation.kind == Allocation::Kind::scratch;
      if (place.scratch) place.region = reserve(allocation.bytes);
      if (allocation.kind != Allocation::Kind::argument) continue;
      if (bound_.tensors[allocation.index].direction == Direction::in)
        place.region = inputs_[allocation.index];
      else
        place.output = static_cast<int>(allocation.index);
    }
}

Result<std::unique_ptr<Slots>> Slots::create(const Context& context, TrustedModule& trusted,
                                             const BoundCase& bound, const LaunchPlan& baseline,
                                             const LaunchPlan& candidate, uint32_t wanted,
                                             uint64_t seed) {
  std::unique_ptr<Slots> slots(new Slots(context, trusted, bound, seed));
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
  RETURN_IF_ERROR(slots->make_pools());
  const auto zones = [&](const std::vector<Region>& regions) -> Result<void> {
    for (const Region& region : regions)
      if (region.offset != 0)
        RETURN_IF_ERROR(trusted.write_red_zones(slots->everywhere(region), region.bytes));
    return {};
  };
  RETURN_IF_ERROR(zones(slots->inputs_));
  for (const size_t side : {size_t{0}, size_t{1}}) {
    RETURN_IF_ERROR(zones(slots->outputs_[side]));
    RETURN_IF_ERROR(zones(slots->scratch(side)));
  }
  return slots;
}

Slots::~Slots() {
  if (context_.lost()) return;
  const Driver& driver = context_.driver();
  if (arena_) driver.cuMemFree_v2(arena_);
  if (table_) driver.cuMemFree_v2(table_);
  for (const CUdeviceptr pool : pools_)
    if (pool) driver.cuMemFree_v2(pool);
}

CUdeviceptr Slots::address(uint32_t slot, Side side, size_t allocation) const {
  const Place& place = places_[index_of(side)][allocation];
  const Region& region =
      place.output < 0 ? place.region : output(side, static_cast<size_t>(place.output));
  return region.offset == 0 ? 0 : bases_[slot] + region.offset;
}

const Region& Slots::output(Side side, size_t tensor) const {
  return outputs_[index_of(side) ^ (swapped_ ? 1 : 0)][tensor];
}

Result<std::vector<std::string>> Slots::download(uint32_t slot, Side side) const {
  std::vector<std::string> tensors;
  for (size_t i = 0; i < bound_.tensors.size(); ++i) {
    const bool in = bound_.tensors[i].direction == Direction::in;
    const Region& region = in ? inputs_[i] : output(side, i);
    std::string& bytes = tensors.emplace_back(region.bytes, '\0');
    const Driver& driver = context_.driver();
    RETURN_IF_ERROR(expect(
        driver, driver.cuMemcpyDtoH_v2(bytes.data(), bases_[slot] + region.offset, bytes.size()),
        "downloading a timed call's tensors"));
  }
  return tensors;
}

std::vector<Region> Slots::scratch(size_t side) const {
  std::vector<Region> regions;
  for (const Place& place : places_[side])
    if (place.scratch) regions.push_back(place.region);
  return regions;
}

Result<void> Slots::make_pools() {
  pools_.resize(bound_.tensors.size());
  const auto slow = [](const BoundTensor& tensor) {
    return tensor.direction != Direction::out && fills::in_segments(tensor.fill.kind) &&
           tensor.fill.row > kLongRow && fills::unit_count(tensor.fill) < kFewRows;
  };
  if (std::ranges::none_of(bound_.tensors, slow)) return {};
  // All that may share segments must come from the same pool.
  for (size_t i = 0; i < bound_.tensors.size(); ++i) {
    const BoundTensor& tensor = bound_.tensors[i];
    if (tensor.direction == Direction::out || !fills::in_segments(tensor.fill.kind)) continue;
    const Driver& driver = context_.driver();
    RETURN_IF_ERROR(expect(driver, driver.cuMemAlloc_v2(&pools_[i], kPoolSize * tensor.bytes()),
                           "allocating a pool of inputs"));
    std::array<std::vector<std::byte>, kPoolSize> members;
    std::vector<std::thread> threads;
    for (uint32_t member = 0; member < kPoolSize; ++member)
      threads.emplace_back([&, member] {
        members[member].resize(tensor.bytes());
        fill_on_host(tensor.fill, FillKey{seed_, kPoolGeneration + member}, members[member].data(),
                     1);
      });
    for (std::thread& thread : threads) thread.join();
    for (uint32_t member = 0; member < kPoolSize; ++member)
      RETURN_IF_ERROR(expect(driver,
                             driver.cuMemcpyHtoD_v2(pools_[i] + member * tensor.bytes(),
                                                    members[member].data(), tensor.bytes()),
                             "uploading a pool of inputs"));
  }
  return {};
}

Result<void> Slots::fill(Range range, size_t tensor, const Region& region, uint32_t generation) {
  const BoundTensor& bound = bound_.tensors[tensor];
  if (pools_[tensor])
    return trusted_.deal(in(range, region), bound.bytes(), pools_[tensor], kPoolSize,
                         trusted::mix(seed_ + generation));
  return trusted_.fill_fast(in(range, region), bound.fill, seed_, generation * kMaxSlots);
}

Result<void> Slots::fill_inputs(Range range, uint32_t generation) {
  for (size_t i = 0; i < bound_.tensors.size(); ++i)
    if (bound_.tensors[i].direction == Direction::in)
      RETURN_IF_ERROR(fill(range, i, inputs_[i], generation));
  return {};
}

Result<void> Slots::fill_outputs(Range range, Side side, uint32_t generation) {
  for (size_t i = 0; i < bound_.tensors.size(); ++i)
    if (bound_.tensors[i].direction == Direction::inout)
      RETURN_IF_ERROR(fill(range, i, output(side, i), generation));
  return {};
}

Result<void> Slots::poison(Range range, Side side, uint64_t key) {
  for (size_t i = 0; i < bound_.tensors.size(); ++i)
    if (bound_.tensors[i].direction == Direction::out)
      RETURN_IF_ERROR(poison_tensor(range, side, i, key));
  return poison_scratch(range, side, key);
}

Result<void> Slots::hide(Range range, Side side, uint64_t key) {
  for (size_t i = 0; i < bound_.tensors.size(); ++i)
    if (bound_.tensors[i].direction != Direction::in)
      RETURN_IF_ERROR(poison_tensor(range, side, i, key));
  return poison_scratch(range, side, key);
}

Result<void> Slots::poison_scratch(Range range, Side side, uint64_t key) {
  for (const Region& region : scratch(index_of(side)))
    RETURN_IF_ERROR(trusted_.poison_fast(in(range, region), Dtype::u8, region.bytes, key));
  return {};
}

Result<void> Slots::poison_tensor(Range range, Side side, size_t tensor, uint64_t key) {
  return trusted_.poison_fast(in(range, output(side, tensor)), bound_.tensors[tensor].dtype,
                              bound_.tensors[tensor].bytes(), key);
}

Result<uint64_t> Slots::hash_inputs(Range range, uint64_t key) {
  RETURN_IF_ERROR(trusted_.begin_hash());
  for (size_t i = 0; i < bound_.tensors.size(); ++i)
    if (bound_.tensors[i].direction == Direction::in)
      RETURN_IF_ERROR(trusted_.add_hash(in(range, inputs_[i]), inputs_[i].bytes, key + i));
  return trusted_.end_hash();
}

Result<Comparison> Slots::compare(Range range, size_t tensor) {
  const BoundTensor& bound = bound_.tensors[tensor];
  return trusted_.compare(in(range, output(Side::candidate, tensor)),
                          in(range, output(Side::baseline, tensor)), bound.dtype, bound.elements,
                          between_two(bound.tolerance));
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
  RETURN_IF_ERROR(look(outputs_[0], "an output"));
  RETURN_IF_ERROR(look(outputs_[1], "an output"));
  RETURN_IF_ERROR(look(scratch(index_of(Side::candidate)), "a scratch buffer"));
  return total;
}

}  // namespace assay::cuda
