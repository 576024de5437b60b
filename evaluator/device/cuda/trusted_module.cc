#include "evaluator/device/cuda/trusted_module.h"

#include <algorithm>
#include <vector>

#include "base/files.h"
#include "base/install.h"
#include "evaluator/check/trusted.h"

namespace assay::cuda {

namespace {

constexpr uint32_t kThreads = 256;
constexpr uint32_t kCompareThreads = 128;
constexpr uint64_t kRedZoneKey = 0x5afe;

/// Blocks of one slot: enough to fill the device together with the other slots.
uint32_t blocks_for(uint64_t items, uint32_t slots, uint32_t threads) {
  const uint64_t wanted = (items + threads - 1) / threads;
  const uint64_t most = std::max<uint64_t>(1, 4096 / std::max(1u, slots));
  return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, 1, most));
}

}  // namespace

Result<std::unique_ptr<TrustedModule>> TrustedModule::load(const Context& context) {
  ASSIGN_OR_RETURN(const auto path, installed_file("lib/assay/trusted.fatbin"));
  ASSIGN_OR_RETURN(const std::string image, read_file(path));
  std::unique_ptr<TrustedModule> module(new TrustedModule(context));
  const Driver& driver = context.driver();
  RETURN_IF_ERROR(
      expect(driver, driver.cuModuleLoadDataEx(&module->module_, image.data(), 0, nullptr, nullptr),
             "loading assay's trusted kernels"));
  const std::pair<CUfunction*, const char*> functions[] = {
      {&module->fill_, "assay_fill"},
      {&module->fill_fast_, "assay_fill_fast"},
      {&module->fill_integers_, "assay_fill_integers"},
      {&module->poison_, "assay_poison"},
      {&module->poison_fast_, "assay_poison_fast"},
      {&module->hash_fast_, "assay_hash_fast"},
      {&module->write_zones_, "assay_write_red_zones"},
      {&module->check_zones_, "assay_check_red_zones"},
      {&module->hash_, "assay_hash"},
      {&module->deal_, "assay_deal"},
      {&module->compare_, "assay_compare"},
      {&module->fold_, "assay_fold"},
      {&module->flush_, "assay_flush"},
      {&module->stamp_, "assay_stamp"},
      {&module->probe_, "assay_probe"},
      {&module->empty_, "assay_empty"},
      {&module->ruler_, "assay_ruler"},
      {&module->copy_, "assay_copy_elements"}};
  for (const auto& [function, name] : functions)
    RETURN_IF_ERROR(
        expect(driver, driver.cuModuleGetFunction(function, module->module_, name), name));
  RETURN_IF_ERROR(expect(driver, driver.cuMemAlloc_v2(&module->result_, 256), "allocating"));
  module->flush_bytes_ = 2 * std::max<uint64_t>(context.info().l2_bytes, 1 << 20);
  RETURN_IF_ERROR(expect(driver, driver.cuMemAlloc_v2(&module->flush_buffer_, module->flush_bytes_),
                         "allocating the buffer that clears the cache"));
  RETURN_IF_ERROR(expect(
      driver,
      driver.cuMemsetD8Async(module->flush_buffer_, 0, module->flush_bytes_, context.stream()),
      "clearing"));
  return module;
}

TrustedModule::~TrustedModule() {
  if (context_.lost()) return;
  const Driver& driver = context_.driver();
  if (flush_buffer_) driver.cuMemFree_v2(flush_buffer_);
  if (parts_) driver.cuMemFree_v2(parts_);
  if (result_) driver.cuMemFree_v2(result_);
  if (module_) driver.cuModuleUnload(module_);
}

template <typename... Arguments>
Result<void> TrustedModule::launch(CUfunction function, CUstream stream, Shape shape,
                                   Arguments... arguments) {
  CUlaunchConfig config{};
  config.gridDimX = shape.blocks;
  config.gridDimY = shape.slots;
  config.gridDimZ = 1;
  config.blockDimX = shape.threads;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = shape.shared_bytes;
  config.hStream = stream;
  void* pointers[] = {&arguments..., nullptr};
  return expect(context_.driver(),
                context_.driver().cuLaunchKernelEx(&config, function, pointers, nullptr),
                "launching a trusted kernel");
}

Result<void> TrustedModule::clear_result(uint64_t first, uint64_t second) {
  const uint64_t values[2] = {first, second};
  RETURN_IF_ERROR(expect(context_.driver(),
                         context_.driver().cuStreamSynchronize(context_.stream()), "waiting"));
  return expect(context_.driver(),
                context_.driver().cuMemcpyHtoD_v2(result_, values, sizeof values), "clearing");
}

template <typename T>
Result<T> TrustedModule::read(CUdeviceptr address) {
  T value{};
  const Driver& driver = context_.driver();
  RETURN_IF_ERROR(
      expect(driver, driver.cuStreamSynchronize(context_.stream()), "running a trusted kernel"));
  RETURN_IF_ERROR(expect(driver, driver.cuMemcpyDtoH_v2(&value, address, sizeof value),
                         "reading a trusted kernel's result"));
  return value;
}

Result<void> TrustedModule::fill(const SlotRegion& region, const Fill& fill, uint64_t seed,
                                 uint32_t generation_base) {
  if (fill.elements == 0) return {};
  return launch(
      fill_, context_.stream(),
      Shape{blocks_for(fill.elements / 4 + 1, region.count, kThreads), region.count, kThreads},
      region.slot_bases, region.first, region.offset, fill, seed, generation_base);
}

Result<void> TrustedModule::fill_fast(const SlotRegion& region, const Fill& fill, uint64_t seed,
                                      uint32_t generation_base) {
  const bool plain = fill.grid == 0 && fill.replace == 0 && fill.elements > 0;
  const bool floats =
      (fill.kind == FillKind::normal || fill.kind == FillKind::uniform) &&
      (fill.dtype == Dtype::f32 || fill.dtype == Dtype::f16 || fill.dtype == Dtype::bf16);
  const bool integers = fill.kind == FillKind::randint && fill.dtype >= Dtype::i64 &&
                        fill.dtype != Dtype::boolean && fill.b - fill.a < 4294967295.0;
  if (!plain || !(floats || integers)) return this->fill(region, fill, seed, generation_base);
  return launch(
      floats ? fill_fast_ : fill_integers_, context_.stream(),
      Shape{blocks_for(fill.elements / 4 + 1, region.count, kThreads), region.count, kThreads},
      region.slot_bases, region.first, region.offset, fill, seed, generation_base);
}

Result<void> TrustedModule::poison_fast(const SlotRegion& region, Dtype dtype, uint64_t bytes,
                                        uint64_t key) {
  if (bytes == 0) return {};
  uint32_t nan = 0, payload = 0xffffffff;
  if (dtype == Dtype::f64 || dtype == Dtype::f32 || dtype == Dtype::tf32) {
    nan = 0x7ff80001;
    payload = 0x8007fffe;
  } else if (dtype == Dtype::f16 || dtype == Dtype::bf16) {
    nan = 0x7fc17fc1;
    payload = 0x803e803e;
  }
  return launch(poison_fast_, context_.stream(),
                Shape{blocks_for(bytes / 16 + 1, region.count, kThreads), region.count, kThreads},
                region.slot_bases, region.first, region.offset, bytes, nan, payload,
                static_cast<uint32_t>(trusted::mix(key)));
}

Result<void> TrustedModule::poison(const SlotRegion& region, Dtype dtype, uint64_t elements,
                                   uint64_t key) {
  if (elements == 0) return {};
  return launch(poison_, context_.stream(),
                Shape{blocks_for(elements, region.count, kThreads), region.count, kThreads},
                region.slot_bases, region.first, region.offset, dtype, elements, key);
}

Result<void> TrustedModule::write_red_zones(const SlotRegion& region, uint64_t bytes) {
  return launch(write_zones_, context_.stream(), Shape{4, region.count, kThreads},
                region.slot_bases, region.first, region.offset, bytes, kRedZoneKey);
}

Result<RedZoneDamage> TrustedModule::check_red_zones(const SlotRegion& region, uint64_t bytes) {
  RETURN_IF_ERROR(clear_result(0, 0));
  RETURN_IF_ERROR(launch(check_zones_, context_.stream(), Shape{4, region.count, kThreads},
                         region.slot_bases, region.first, region.offset, bytes, kRedZoneKey,
                         result_));
  using Pair = std::array<uint64_t, 2>;
  ASSIGN_OR_RETURN(const Pair changed, read<Pair>(result_));
  return RedZoneDamage{changed[0], changed[1], ""};
}

Result<uint64_t> TrustedModule::hash(const SlotRegion& region, uint64_t bytes, uint64_t key) {
  RETURN_IF_ERROR(begin_hash());
  if (bytes > 0)
    RETURN_IF_ERROR(
        launch(hash_, context_.stream(),
               Shape{blocks_for(bytes / 8, region.count, kThreads), region.count, kThreads},
               region.slot_bases, region.first, region.offset, bytes, key, result_));
  return end_hash();
}

Result<void> TrustedModule::begin_hash() {
  return expect(context_.driver(),
                context_.driver().cuMemsetD8Async(result_, 0, 8, context_.stream()), "clearing");
}

Result<void> TrustedModule::add_hash(const SlotRegion& region, uint64_t bytes, uint64_t key) {
  if (bytes == 0) return {};
  return launch(hash_fast_, context_.stream(),
                Shape{blocks_for(bytes / 16 + 1, region.count, kThreads), region.count, kThreads},
                region.slot_bases, region.first, region.offset, bytes, key, result_);
}

Result<uint64_t> TrustedModule::end_hash() { return read<uint64_t>(result_); }

Result<void> TrustedModule::deal(const SlotRegion& region, uint64_t bytes, CUdeviceptr pool,
                                 uint32_t count, uint64_t key) {
  if (bytes == 0) return {};
  return launch(deal_, context_.stream(),
                Shape{blocks_for(bytes / 4 + 1, region.count, kThreads), region.count, kThreads},
                region.slot_bases, region.first, region.offset, bytes, pool, count, key);
}

Result<Comparison> TrustedModule::compare(const SlotRegion& got, const SlotRegion& want,
                                          Dtype dtype, uint64_t elements,
                                          const Tolerance& tolerance) {
  if (elements == 0) return trusted::finish(trusted::empty_part(), tolerance);
  const uint32_t blocks = blocks_for(elements, got.count, kCompareThreads);
  const uint64_t count = uint64_t{blocks} * got.count;
  if (count > parts_count_) {
    const Driver& driver = context_.driver();
    if (parts_) driver.cuMemFree_v2(parts_);
    parts_ = 0;
    RETURN_IF_ERROR(expect(driver,
                           driver.cuMemAlloc_v2(&parts_, count * sizeof(trusted::ComparisonPart)),
                           "allocating"));
    parts_count_ = count;
  }
  RETURN_IF_ERROR(launch(compare_, context_.stream(), Shape{blocks, got.count, kCompareThreads},
                         got.slot_bases, got.first, got.offset, want.offset, want.slot_bases, dtype,
                         elements, tolerance.atol, tolerance.rtol, parts_));
  RETURN_IF_ERROR(launch(fold_, context_.stream(), Shape{1, 1, kCompareThreads}, parts_, count));
  ASSIGN_OR_RETURN(const auto part, read<trusted::ComparisonPart>(parts_));
  return trusted::finish(part, tolerance);
}

Result<void> TrustedModule::copy_elements(CUstream stream, const ElementGrid& elements,
                                          CUdeviceptr target, CUdeviceptr source) {
  return launch(copy_, stream, Shape{blocks_for(elements.count(), 1, kThreads), 1, kThreads},
                with_fewest_axes(elements), target, source);
}

Result<void> TrustedModule::flush_l2() {
  const uint64_t count = flush_bytes_ / 16;
  return launch(flush_, context_.stream(), Shape{4 * context_.info().multiprocessors, 1, kThreads},
                flush_buffer_, count, result_);
}

Result<void> TrustedModule::stamp(CUstream stream, CUdeviceptr stamps) {
  // More than half of a multiprocessor's shared memory: no two blocks share one.
  const uint32_t shared = context_.info().shared_per_multiprocessor_bytes / 2 + 1024;
  context_.driver().cuFuncSetAttribute(stamp_, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                       static_cast<int>(shared));
  return launch(stamp_, stream, Shape{context_.info().multiprocessors, 1, 32, shared}, stamps);
}

Result<void> TrustedModule::probe(CUstream stream, CUdeviceptr address, uint64_t bytes,
                                  uint64_t key, CUdeviceptr result) {
  const uint64_t length = std::min<uint64_t>(bytes, 64 << 10) / 8 * 8;
  return launch(probe_, stream, Shape{1, 1, 512}, address, length, key, result);
}

Result<void> TrustedModule::ruler(CUstream stream) {
  constexpr uint32_t kSteps = 20'000;  // about 40 us
  return launch(ruler_, stream, Shape{context_.info().multiprocessors, 1, 128}, kSteps, result_);
}

Result<void> TrustedModule::empty(CUstream stream, std::array<uint32_t, 3> grid,
                                  std::array<uint32_t, 3> block, uint32_t shared_bytes) {
  CUlaunchConfig config{};
  config.gridDimX = grid[0];
  config.gridDimY = grid[1];
  config.gridDimZ = grid[2];
  config.blockDimX = block[0];
  config.blockDimY = block[1];
  config.blockDimZ = block[2];
  config.sharedMemBytes = shared_bytes;
  config.hStream = stream;
  const Driver& driver = context_.driver();
  if (shared_bytes > (48u << 10))
    driver.cuFuncSetAttribute(empty_, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                              static_cast<int>(shared_bytes));
  void* pointers[] = {nullptr};
  return expect(driver, driver.cuLaunchKernelEx(&config, empty_, pointers, nullptr),
                "launching an empty kernel");
}

}  // namespace assay::cuda
