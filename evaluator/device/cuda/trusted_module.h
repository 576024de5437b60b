// The trusted kernels (trusted_kernels.cu), loaded on a GPU, as functions.
//
// Each works on the same region of many slots at once: slot s starts at slot_bases[s] (a device
// array of addresses), the region `offset` bytes after it. A lone buffer is one slot.
#pragma once

#include <array>
#include <memory>

#include "base/result.h"
#include "evaluator/check/comparison.h"
#include "evaluator/device/cuda/context.h"
#include "evaluator/plan/element_grid.h"
#include "tasks/fill.h"

namespace assay::cuda {

/// The same region in `count` slots.
struct SlotRegion {
  CUdeviceptr slot_bases = 0;
  uint32_t first = 0;
  uint32_t count = 1;
  uint64_t offset = 0;
};

class TrustedModule {
 public:
  /// Loads lib/assay/trusted.fatbin into the context, which must outlive this.
  static Result<std::unique_ptr<TrustedModule>> load(const Context& context);
  ~TrustedModule();

  // All run on the context's stream and do not wait, unless they return something.
  /// Slot s is filled with key {seed, generation_base + s}.
  Result<void> fill(const SlotRegion& region, const Fill& fill, uint64_t seed,
                    uint32_t generation_base);
  /// The same distribution, but not the same bits as on a host, where that is faster.
  Result<void> fill_fast(const SlotRegion& region, const Fill& fill, uint64_t seed,
                         uint32_t generation_base);
  Result<void> poison(const SlotRegion& region, Dtype dtype, uint64_t elements, uint64_t key);
  /// Garbage, likewise: NaNs in floats, random words else.
  Result<void> poison_fast(const SlotRegion& region, Dtype dtype, uint64_t bytes, uint64_t key);
  Result<void> write_red_zones(const SlotRegion& region, uint64_t bytes);
  /// Changed bytes before and after the region, over all slots.
  Result<RedZoneDamage> check_red_zones(const SlotRegion& region, uint64_t bytes);
  /// Sum over all slots of the region's hash (mixed with the slot's number). Device code that does
  /// not know the key cannot make two contents with the same hash.
  Result<uint64_t> hash(const SlotRegion& region, uint64_t bytes, uint64_t key);
  /// A faster hash under a secret key, of several regions, whose sums are added: one wait for all.
  Result<void> begin_hash();
  Result<void> add_hash(const SlotRegion& region, uint64_t bytes, uint64_t key);
  Result<uint64_t> end_hash();
  /// Each slot's region becomes a copy of one of `count` contents that lie one after another at
  /// `pool`; which one depends on the slot and the key.
  Result<void> deal(const SlotRegion& region, uint64_t bytes, CUdeviceptr pool, uint32_t count,
                    uint64_t key);
  /// Over all slots; element indices count through the slots.
  Result<Comparison> compare(const SlotRegion& got, const SlotRegion& want, Dtype dtype,
                             uint64_t elements, const Tolerance& tolerance);

  /// The views' first elements lie at `target` and `source`.
  Result<void> copy_elements(CUstream stream, const ElementGrid& elements, CUdeviceptr target,
                             CUdeviceptr source);
  /// Reads a clean buffer of twice the L2, so that nothing else stays in it.
  Result<void> flush_l2();
  /// Writes (globaltimer, clock) of every multiprocessor to `stamps` (two u64 for each).
  Result<void> stamp(CUstream stream, CUdeviceptr stamps);
  /// Hashes up to 64 KiB at `address` into `result` (one u64).
  Result<void> probe(CUstream stream, CUdeviceptr address, uint64_t bytes, uint64_t key,
                     CUdeviceptr result);
  /// Work that takes the same number of cycles on a device that is left alone.
  Result<void> ruler(CUstream stream);
  /// An empty kernel of the given shape.
  Result<void> empty(CUstream stream, std::array<uint32_t, 3> grid, std::array<uint32_t, 3> block,
                     uint32_t shared_bytes);

 private:
  /// Grid (blocks, slots), threads of a block, dynamic shared memory.
  struct Shape {
    uint32_t blocks = 1;
    uint32_t slots = 1;
    uint32_t threads = 1;
    uint32_t shared_bytes = 0;
  };

  explicit TrustedModule(const Context& context) : context_(context) {}
  template <typename... Arguments>
  Result<void> launch(CUfunction function, CUstream stream, Shape shape, Arguments... arguments);
  Result<void> clear_result(uint64_t first, uint64_t second);
  template <typename T>
  Result<T> read(CUdeviceptr address);

  const Context& context_;
  CUmodule module_ = nullptr;
  CUfunction fill_ = nullptr, fill_fast_ = nullptr, fill_integers_ = nullptr, poison_ = nullptr,
             poison_fast_ = nullptr, hash_fast_ = nullptr, write_zones_ = nullptr,
             check_zones_ = nullptr, hash_ = nullptr, deal_ = nullptr, compare_ = nullptr,
             fold_ = nullptr, flush_ = nullptr, stamp_ = nullptr, probe_ = nullptr,
             empty_ = nullptr, ruler_ = nullptr, copy_ = nullptr;
  CUdeviceptr result_ = 0;  // two u64 that kernels count into
  CUdeviceptr parts_ = 0;   // of comparisons
  uint64_t parts_count_ = 0;
  CUdeviceptr flush_buffer_ = 0;
  uint64_t flush_bytes_ = 0;
};

}  // namespace assay::cuda
