// Specialist: |k - c|^2 = |k|^2 + |c|^2 - 2 k c, and |k|^2 does not matter. A warp keeps 16 keys in
// registers as fragments, centroids come in tiles, and each thread keeps the least score and its
// centroid for two keys; four lanes compare at the end. Distances are never stored. Counting a key
// tells its place among those of its centroid, so that keys can be listed by centroid; a warp adds
// up 64 of the list, and only sums of centroids that it shares with a neighbour need atomics.
//
// On Hopper (sm_90a), where the device code was built with that kernel, products are wgmma: three
// warpgroups of 64 keys, which find the least scores of a tile of 128 centroids while the others'
// products run, and one thread that asks the bulk copy engine for tiles, four stages ahead. A stage
// has two mbarriers: `full` counts the bytes that arrive, `empty` the warps that have read them.
// Bound by the tensor cores, next by the comparisons: four instructions a score.
//
// Elsewhere they are mma.sync: 8 warps, tiles of 128 centroids by cp.async, one ahead, chunks of 16
// bytes permuted within a row against bank conflicts.
#include <cuda.h>
#include <cuda_bf16.h>

#include <cstdint>

namespace {

constexpr int kWarps = 8;      // of a block, in all kernels but that for Hopper
constexpr int kCentres = 128;  // of a tile
constexpr int kRun = 64;       // keys of the list that a warp adds up

struct Problem {
  const __nv_bfloat16* __restrict__ key;
  const __nv_bfloat16* __restrict__ cen;
  const float* __restrict__ norms;  // [heads][padded_clusters]: |c|^2, infinite beyond the last
  int* __restrict__ label;
  int* __restrict__ cnt;    // starts at 0
  int* __restrict__ place;  // [heads][length]: of a key among those of its centroid
  int heads, length, clusters;
  int padded_clusters;  // a multiple of kCentres
};

/// A warp's 16 keys as left operands of products.
template <int kDim>
struct Keys {
  unsigned parts[kDim / 16][4];

  __device__ Keys(const Problem& p, int head, int first) {
    const int lane = threadIdx.x % 32;
    const __nv_bfloat16* keys = p.key + static_cast<long long>(head) * p.length * kDim;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int row = first + lane / 4 + part % 2 * 8;
        const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
        parts[i][part] = row < p.length ? *reinterpret_cast<const unsigned*>(
                                              keys + static_cast<long long>(row) * kDim + column)
                                        : 0;
      }
  }
};

/// The nearest of the centroids seen by a thread, to its keys lane / 4 and lane / 4 + 8.
struct Nearest {
  float least[2] = {INFINITY, INFINITY};
  int centres[2] = {0, 0};

  /// Takes the products with centroids first + 8 n + lane % 4 * 2 and the next.
  template <int kCount>
  __device__ __forceinline__ void compare(const float (&products)[kCount][4],
                                          const float2 (&norms)[kCount], int first) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float now = least[half];
      int place = -1;
#pragma unroll
      for (int n = 0; n < kCount; ++n)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const float norm = e == 0 ? norms[n].x : norms[n].y;
          const float score = norm - 2 * products[n][2 * half + e];
          if (score < now) {
            now = score;
            place = n * 8 + e;
          }
        }
      least[half] = now;
      if (place >= 0) centres[half] = first + place + threadIdx.x % 4 * 2;
    }
  }

  /// Compares with the three other lanes that have the same keys.
  __device__ void store(const Problem& p, int head, int first) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int distance = 1; distance < 4; distance *= 2) {
        const float other = __shfl_xor_sync(~0u, least[half], distance);
        const int centre = __shfl_xor_sync(~0u, centres[half], distance);
        if (other < least[half] || (other == least[half] && centre < centres[half])) {
          least[half] = other;
          centres[half] = centre;
        }
      }
      const int row = first + lane / 4 + half * 8;
      if (lane % 4 == 0 && row < p.length) {
        const long long own = static_cast<long long>(head) * p.length + row;
        p.label[own] = centres[half];
        p.place[own] =
            atomicAdd(p.cnt + static_cast<long long>(head) * p.clusters + centres[half], 1);
      }
    }
  }
};

namespace hopper {

constexpr int kConsumers = 3;  // warpgroups that compute
constexpr int kThreads = 128 * (1 + kConsumers);
constexpr int kKeys = 64 * kConsumers;
constexpr int kStages = 4;
constexpr int kSpan = 64;            // elements in the 128 bytes that a swizzled row takes
constexpr int kSwizzleBytes = 1024;  // 8 rows of 128 bytes: the period and alignment of the swizzle
constexpr int kSpanBytes = kCentres * kSpan * 2;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// mbarriers. A phase ends when the expected arrivals and bytes have come; waits name its parity.
__device__ void create_barrier(unsigned barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
__device__ void wait(unsigned barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}
__device__ void arrive(unsigned barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ void arrive_expecting(unsigned barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}

/// Copies the box at (head, row, column) into shared memory; `full` counts its bytes.
__device__ void load(unsigned target, const CUtensorMap& map, unsigned full, int head, int row,
                     int column) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5}], [%2];" ::"r"(target),
      "l"(&map), "r"(full), "r"(column), "r"(row), "r"(head)
      : "memory");
}

/// Describes a swizzled operand for wgmma: rows of 128 bytes; 8 of them, 1024 bytes, make a unit,
/// and units follow one another.
__device__ uint64_t operand(unsigned address) {
  constexpr uint64_t kSwizzle128 = 1;
  return kSwizzle128 << 62 | static_cast<uint64_t>(kSwizzleBytes >> 4) << 32 |
         (address & 0x3ffff) >> 4;
}
__device__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ void wait_for_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from moving uses of a product's registers across this place.
template <int kCount>
__device__ __forceinline__ void settle(float (&d)[kCount][4]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i)
    asm volatile("" : "+f"(d[i][0]), "+f"(d[i][1]), "+f"(d[i][2]), "+f"(d[i][3])::"memory");
}

#define SUMS(j) "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
#define SUMS_8(j) \
  SUMS(j), SUMS(j + 1), SUMS(j + 2), SUMS(j + 3), SUMS(j + 4), SUMS(j + 5), SUMS(j + 6), SUMS(j + 7)

/// 64 x 128 of d = 64 x 16 of a times 16 x 128 of b, plus d if `add`; b in shared memory. Of d, a
/// thread holds columns 8 j + lane % 4 * 2 and the next, of row lane / 4 of its warp's 16 rows, and
/// of the 8th below; of a it holds the same of two times 8 columns.
__device__ __forceinline__ void multiply(float (&d)[16][4], const unsigned (&a)[4], uint64_t b,
                                         bool add) {
  asm volatile(
      "{\n"
      ".reg .pred add;\n"
      "setp.ne.b32 add, %69, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
      "}, {%64, %65, %66, %67}, %68, add, 1, 1, 0;\n"
      "}"
      : SUMS_8(0), SUMS_8(8)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(add)));
}
#undef SUMS_8
#undef SUMS

/// A place in the ring of stages and the parity of its current round.
struct Turn {
  int stage = 0, parity = 0;
  __device__ void advance() {
    if (++stage < kStages) return;
    stage = 0;
    parity ^= 1;
  }
};

#endif

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1)
    assign(const __grid_constant__ CUtensorMap centre_map, const Problem p) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  constexpr int kTileBytes = kCentres * kDim * 2;
  extern __shared__ unsigned char dynamic[];
  __shared__ uint64_t full_barriers[kStages], empty_barriers[kStages];
  const unsigned base =
      (shared_address(dynamic) + kSwizzleBytes - 1) / kSwizzleBytes * kSwizzleBytes;
  const auto full = [&](int stage) { return shared_address(&full_barriers[stage]); };
  const auto empty = [&](int stage) { return shared_address(&empty_barriers[stage]); };
  const int tiles = p.padded_clusters / kCentres, head = blockIdx.y;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      create_barrier(full(stage), 1);
      create_barrier(empty(stage), kConsumers * 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();

  Turn turn;
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 32;");
    if (threadIdx.x != 0) return;
    for (int tile = 0; tile < tiles; ++tile, turn.advance()) {
      wait(empty(turn.stage), turn.parity ^ 1);
      arrive_expecting(full(turn.stage), kTileBytes);
      for (int span = 0; span < kDim / kSpan; ++span)
        load(base + turn.stage * kTileBytes + span * kSpanBytes, centre_map, full(turn.stage), head,
             tile * kCentres, span * kSpan);
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 160;");
    const int lane = threadIdx.x % 32;
    const int own = blockIdx.x * kKeys + (threadIdx.x / 32 - 4) * 16;
    Keys<kDim> keys(p, head, own);
    Nearest nearest;
    const float* norms = p.norms + static_cast<long long>(head) * p.padded_clusters + lane % 4 * 2;
    for (int tile = 0; tile < tiles; ++tile, turn.advance()) {
      float products[kCentres / 8][4];
      float2 norms_of_tile[kCentres / 8];
#pragma unroll
      for (int n = 0; n < kCentres / 8; ++n)
        norms_of_tile[n] = __ldg(reinterpret_cast<const float2*>(norms + tile * kCentres + n * 8));
      wait(full(turn.stage), turn.parity);
      begin_products();
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i)
        multiply(products, keys.parts[i],
                 operand(base + turn.stage * kTileBytes + i / 4 * kSpanBytes + i % 4 * 32), i > 0);
      commit_products();
      wait_for_products<0>();
      settle(products);
      if (lane == 0) arrive(empty(turn.stage));
      nearest.compare(products, norms_of_tile, tile * kCentres);
    }
    nearest.store(p, head, own);
  }
#endif
}

/// The kernel above has no barriers where it was built without a body.
template <int kDim>
bool built() {
  cudaFuncAttributes attributes;
  return cudaFuncGetAttributes(&attributes, assign<kDim>) == cudaSuccess &&
         attributes.sharedSizeBytes > 0;
}

/// For boxes of kCentres x 64 elements of one head's centroids, swizzled; zeros beyond the last.
CUtensorMap tensor_map(const Problem& p, int dim) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                   &found);
  const cuuint64_t row_bytes = static_cast<cuuint64_t>(dim) * sizeof(__nv_bfloat16);
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(dim), static_cast<cuuint64_t>(p.clusters),
                              static_cast<cuuint64_t>(p.heads)};
  const cuuint64_t strides_bytes[] = {row_bytes, row_bytes * p.clusters};
  const cuuint32_t box[] = {kSpan, kCentres, 1}, steps[] = {1, 1, 1};
  CUtensorMap map;
  reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function)(
      &map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, const_cast<__nv_bfloat16*>(p.cen), sizes,
      strides_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return map;
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = kStages * kCentres * kDim * 2 + kSwizzleBytes;
  cudaFuncSetAttribute(assign<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.length + kKeys - 1) / kKeys, p.heads);
  assign<kDim><<<grid, kThreads, kBytes, stream>>>(tensor_map(p, kDim), p);
}

}  // namespace hopper

namespace portable {

constexpr int kThreads = 32 * kWarps;
constexpr int kKeys = 16 * kWarps;

__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void commit_copies() { asm volatile("cp.async.commit_group;"); }
template <int kPending>
__device__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
__device__ void load_matrices(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <int kDim>
struct Tile {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kBytes = kCentres * kDim * 2;

  static __device__ unsigned offset_bytes(int row, int chunk) {
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % 8))) * 16;
  }
  static __device__ void fill(unsigned base, const __nv_bfloat16* rows, int first, int count) {
#pragma unroll
    for (int i = 0; i < kCentres * kChunks / kThreads; ++i) {
      const int index = threadIdx.x + i * kThreads, row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < count;
      copy_async(base + offset_bytes(row, chunk),
                 rows + static_cast<long long>(inside ? first + row : 0) * kDim + chunk * 8,
                 inside);
    }
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) assign(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, head = blockIdx.y;
  const int own = blockIdx.x * kKeys + threadIdx.x / 32 * 16;
  const __nv_bfloat16* cen = p.cen + static_cast<long long>(head) * p.clusters * kDim;
  const float* norms = p.norms + static_cast<long long>(head) * p.padded_clusters + lane % 4 * 2;
  const Keys<kDim> keys(p, head, own);
  Nearest nearest;
  const int tiles = p.padded_clusters / kCentres;
  Tile<kDim>::fill(base, cen, 0, p.clusters);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles)
      Tile<kDim>::fill(base + (tile + 1) % 2 * Tile<kDim>::kBytes, cen, (tile + 1) * kCentres,
                       p.clusters);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned centres = base + tile % 2 * Tile<kDim>::kBytes;
#pragma unroll
    for (int n = 0; n < kCentres / 16; ++n) {
      const int first = tile * kCentres + n * 16;
      float products[2][4] = {};
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) {
        unsigned b[4];
        load_matrices(b, centres + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                            i * 2 + lane / 8 % 2));
        multiply_add(products[0], keys.parts[i], b[0], b[1]);
        multiply_add(products[1], keys.parts[i], b[2], b[3]);
      }
      const float2 norms_of_tile[2] = {__ldg(reinterpret_cast<const float2*>(norms + first)),
                                       __ldg(reinterpret_cast<const float2*>(norms + first + 8))};
      nearest.compare(products, norms_of_tile, first);
    }
    __syncthreads();  // the stage may be filled again
  }
  nearest.store(p, head, own);
}

template <int kDim>
void launch(const Problem& p, cudaStream_t stream) {
  constexpr int kBytes = 2 * Tile<kDim>::kBytes;
  cudaFuncSetAttribute(assign<kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes);
  const dim3 grid((p.length + kKeys - 1) / kKeys, p.heads);
  assign<kDim><<<grid, kThreads, kBytes, stream>>>(p);
}

}  // namespace portable

/// One warp a centroid, or a place beyond the last.
__global__ void find_norms(const __nv_bfloat16* __restrict__ cen, float* __restrict__ norms,
                           int clusters, int padded_clusters, int dim) {
  const int c = blockIdx.x * kWarps + threadIdx.x / 32, head = blockIdx.y;
  if (c >= padded_clusters) return;
  float sum = c < clusters ? 0 : INFINITY;
  for (int d = threadIdx.x % 32; d < dim && c < clusters; d += 32) {
    const float x = __bfloat162float(cen[(static_cast<long long>(head) * clusters + c) * dim + d]);
    sum += x * x;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
  if (threadIdx.x % 32 == 0) norms[static_cast<long long>(head) * padded_clusters + c] = sum;
}

/// Where the keys of each centroid begin in the list of its head: in any order, as warps come.
__global__ void reserve(const int* __restrict__ cnt, int* __restrict__ begin, int* ends,
                        int clusters) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y, lane = threadIdx.x % 32;
  const int own = head * clusters + c, count = c < clusters ? cnt[own] : 0;
  int end = count;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = __shfl_up_sync(~0u, end, distance);
    if (lane >= distance) end += other;
  }
  int before = lane == 31 ? atomicAdd(ends + head, end) : 0;
  before = __shfl_sync(~0u, before, 31);
  if (c < clusters) begin[own] = before + end - count;
}

__global__ void list_keys(const Problem p, const int* __restrict__ begin, int* __restrict__ list) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x, head = blockIdx.y;
  if (t >= p.length) return;
  const long long keys = static_cast<long long>(head) * p.length;
  list[keys + begin[head * p.clusters + p.label[keys + t]] + p.place[keys + t]] = t;
}

/// A lane's part of a row.
template <int kDim>
struct alignas(kDim / 16) Part {
  __nv_bfloat162 pairs[kDim / 64];
};

/// A lane's part of the sum of keys of one centroid.
template <int kDim>
struct alignas(kDim / 8) Sum {
  float values[kDim / 32] = {};

  __device__ void add(const Part<kDim>& part) {
#pragma unroll
    for (int i = 0; i < kDim / 64; ++i) {
      values[2 * i] += __low2float(part.pairs[i]);
      values[2 * i + 1] += __high2float(part.pairs[i]);
    }
  }
};

template <int kDim>
__global__ void add_up(const Problem p, const int* __restrict__ list, float* __restrict__ sums) {
  constexpr int kAtOnce = 8;  // rows on their way
  const int first = (blockIdx.x * kWarps + threadIdx.x / 32) * kRun;
  if (first >= p.length) return;
  const int lane = threadIdx.x % 32, own = lane * (kDim / 32), last = min(first + kRun, p.length);
  const long long head = static_cast<long long>(blockIdx.y) * p.length;
  const long long first_centre = static_cast<long long>(blockIdx.y) * p.clusters;
  Sum<kDim> sum;
  int centre = -1, count = 0;
  const auto store = [&] {
    if (centre < 0) return;
    float* target = sums + (first_centre + centre) * kDim + own;
    if (count == p.cnt[first_centre + centre]) {
      *reinterpret_cast<Sum<kDim>*>(target) = sum;
    } else {
#pragma unroll
      for (int i = 0; i < kDim / 32; ++i) atomicAdd(target + i, sum.values[i]);
    }
  };
  for (int begin = first; begin < last; begin += 32) {
    const bool inside = begin + lane < last;
    const int key = inside ? list[head + begin + lane] : 0;
    const int label = inside ? p.label[head + key] : -1;
    for (int i = 0; i < 32; i += kAtOnce) {
      Part<kDim> rows[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int row = __shfl_sync(~0u, key, i + j);
        rows[j] = *reinterpret_cast<const Part<kDim>*>(p.key + (head + row) * kDim + own);
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const int next = __shfl_sync(~0u, label, i + j);
        if (next != centre) {
          store();
          sum = {};
          count = 0;
          centre = next;
        }
        sum.add(rows[j]);
        ++count;
      }
    }
  }
  store();
}

/// In place: sums become means.
__global__ void divide(const __nv_bfloat16* __restrict__ cen, const int* __restrict__ cnt,
                       float* __restrict__ newcen, int dim, int centres) {
  const int c = blockIdx.x * kWarps + threadIdx.x / 32;
  if (c >= centres) return;
  const int count = cnt[c];
  for (int d = threadIdx.x % 32; d < dim; d += 32) {
    const long long at = static_cast<long long>(c) * dim + d;
    newcen[at] = count > 0 ? newcen[at] / count : __bfloat162float(cen[at]);
  }
}

int blocks(int count, int of_a_block) { return (count + of_a_block - 1) / of_a_block; }

/// `begin` has a place for each centroid, `ends` for each head (0 at first), `list` for each key.
template <int kDim>
void step(const Problem& p, int* begin, int* ends, int* list, float* newcen, cudaStream_t stream) {
  constexpr int kThreads = 32 * kWarps;
  if (hopper::built<kDim>())
    hopper::launch<kDim>(p, stream);
  else
    portable::launch<kDim>(p, stream);
  reserve<<<dim3(blocks(p.clusters, kThreads), p.heads), kThreads, 0, stream>>>(p.cnt, begin, ends,
                                                                                p.clusters);
  list_keys<<<dim3(blocks(p.length, kThreads), p.heads), kThreads, 0, stream>>>(p, begin, list);
  add_up<kDim>
      <<<dim3(blocks(p.length, kWarps * kRun), p.heads), kThreads, 0, stream>>>(p, list, newcen);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* key, const __nv_bfloat16* cen, int* label, int* cnt,
                      float* newcen, int heads, int length, int dim, int clusters,
                      cudaStream_t stream) {
  constexpr int kThreads = 32 * kWarps;
  const int padded = blocks(clusters, kCentres) * kCentres;
  const size_t keys = static_cast<size_t>(heads) * length;
  const size_t centres = static_cast<size_t>(heads) * clusters;
  float* norms = nullptr;
  int* scratch = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&norms), sizeof(float) * heads * padded, stream);
  cudaMallocAsync(reinterpret_cast<void**>(&scratch), sizeof(int) * (2 * keys + centres + heads),
                  stream);
  int* const place = scratch;
  int* const list = place + keys;
  int* const begin = list + keys;
  int* const ends = begin + centres;
  cudaMemsetAsync(newcen, 0, sizeof(float) * centres * dim, stream);
  cudaMemsetAsync(cnt, 0, sizeof(int) * centres, stream);
  cudaMemsetAsync(ends, 0, sizeof(int) * heads, stream);
  find_norms<<<dim3(blocks(padded, kWarps), heads), kThreads, 0, stream>>>(cen, norms, clusters,
                                                                           padded, dim);
  const Problem p{key, cen, norms, label, cnt, place, heads, length, clusters, padded};
  if (dim == 64)
    step<64>(p, begin, ends, list, newcen, stream);
  else
    step<128>(p, begin, ends, list, newcen, stream);
  divide<<<blocks(heads * clusters, kWarps), kThreads, 0, stream>>>(cen, cnt, newcen, dim,
                                                                    heads * clusters);
  cudaFreeAsync(scratch, stream);
  cudaFreeAsync(norms, stream);
}
