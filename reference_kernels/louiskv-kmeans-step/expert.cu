// Specialist: |k - c|^2 = |k|^2 + |c|^2 - 2 k c, and |k|^2 does not matter. 128 keys a block, 16 a warp,
// stay in registers as fragments of mma.sync; tiles of 64 centroids arrive by cp.async, one ahead,
// with their norms. Each thread keeps the least score and its centroid for two keys; four lanes
// compare at the end. Distances are never stored. Sums go to memory by atomics of whole rows.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kKeys = 16 * kWarps;
constexpr int kCentres = 64;  // of a tile

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

/// One warp a centroid.
__global__ void find_norms(const __nv_bfloat16* __restrict__ cen, float* __restrict__ norms,
                           int centres, int dim) {
  const int c = blockIdx.x * kWarps + threadIdx.x / 32;
  if (c >= centres) return;
  float sum = 0;
  for (int d = threadIdx.x % 32; d < dim; d += 32) {
    const float x = __bfloat162float(cen[static_cast<long long>(c) * dim + d]);
    sum += x * x;
  }
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    sum += __shfl_xor_sync(~0u, sum, distance);
  if (threadIdx.x % 32 == 0) norms[c] = sum;
}

template <int kDim>
__global__ void __launch_bounds__(kThreads)
    assign(const __nv_bfloat16* __restrict__ key, const __nv_bfloat16* __restrict__ cen,
           const float* __restrict__ norms, int* __restrict__ label, int length, int clusters) {
  extern __shared__ __align__(128) unsigned char shared[];
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, h = blockIdx.y;
  const int own = blockIdx.x * kKeys + threadIdx.x / 32 * 16;
  const long long first_key = static_cast<long long>(h) * length;
  const long long first_centre = static_cast<long long>(h) * clusters;
  unsigned keys[kDim / 16][4];
#pragma unroll
  for (int i = 0; i < kDim / 16; ++i)
#pragma unroll
    for (int part = 0; part < 4; ++part) {
      const int row = own + lane / 4 + part % 2 * 8;
      const int column = i * 16 + lane % 4 * 2 + part / 2 * 8;
      keys[i][part] = row < length ? *reinterpret_cast<const unsigned*>(
                                         key + (first_key + row) * kDim + column)
                                   : 0;
    }
  float least[2] = {INFINITY, INFINITY};
  int best[2] = {0, 0};
  const int tiles = (clusters + kCentres - 1) / kCentres;
  Tile<kDim>::fill(base, cen + first_centre * kDim, 0, clusters);
  commit_copies();
  for (int tile = 0; tile < tiles; ++tile) {
    if (tile + 1 < tiles)
      Tile<kDim>::fill(base + (tile + 1) % 2 * Tile<kDim>::kBytes, cen + first_centre * kDim,
                       (tile + 1) * kCentres, clusters);
    commit_copies();
    wait_for_copies<1>();
    __syncthreads();
    const unsigned centres = base + tile % 2 * Tile<kDim>::kBytes;
#pragma unroll
    for (int n = 0; n < kCentres / 16; ++n) {
      float products[2][4] = {};
#pragma unroll
      for (int i = 0; i < kDim / 16; ++i) {
        unsigned b[4];
        load_matrices(b, centres + Tile<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                            i * 2 + lane / 8 % 2));
        multiply_add(products[0], keys[i], b[0], b[1]);
        multiply_add(products[1], keys[i], b[2], b[3]);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int c = tile * kCentres + n * 16 + j * 8 + lane % 4 * 2 + e;
          if (c >= clusters) continue;
          const float norm = __ldg(norms + first_centre + c);
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const float score = norm - 2 * products[j][2 * half + e];
            if (score < least[half]) {
              least[half] = score;
              best[half] = c;
            }
          }
        }
    }
    __syncthreads();  // the stage may be filled again
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int distance = 1; distance < 4; distance *= 2) {
      const float other = __shfl_xor_sync(~0u, least[half], distance);
      const int centre = __shfl_xor_sync(~0u, best[half], distance);
      if (other < least[half] || (other == least[half] && centre < best[half])) {
        least[half] = other;
        best[half] = centre;
      }
    }
    const int row = own + lane / 4 + half * 8;
    if (lane % 4 == 0 && row < length) label[first_key + row] = best[half];
  }
}

/// One warp a key.
__global__ void add_up(const __nv_bfloat16* __restrict__ key, const int* __restrict__ label,
                       float* __restrict__ sums, int* __restrict__ cnt, int length, int dim,
                       int clusters) {
  const int t = blockIdx.x * kWarps + threadIdx.x / 32, h = blockIdx.y, lane = threadIdx.x % 32;
  if (t >= length) return;
  const long long own = static_cast<long long>(h) * length + t;
  const long long cluster = static_cast<long long>(h) * clusters + label[own];
  for (int d = lane * 2; d < dim; d += 64) {
    const float2 pair =
        __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(key + own * dim + d));
    atomicAdd(sums + cluster * dim + d, pair.x);
    atomicAdd(sums + cluster * dim + d + 1, pair.y);
  }
  if (lane == 0) atomicAdd(cnt + cluster, 1);
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

template <int kDim>
void launch(const __nv_bfloat16* key, const __nv_bfloat16* cen, const float* norms, int* label,
            int heads, int length, int clusters, cudaStream_t stream) {
  constexpr int kBytes = 2 * Tile<kDim>::kBytes;
  const dim3 grid((length + kKeys - 1) / kKeys, heads);
  assign<kDim><<<grid, kThreads, kBytes, stream>>>(key, cen, norms, label, length, clusters);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* key, const __nv_bfloat16* cen, int* label, int* cnt,
                      float* newcen, int heads, int length, int dim, int clusters,
                      cudaStream_t stream) {
  const int centres = heads * clusters, blocks = (centres + kWarps - 1) / kWarps;
  float* norms = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&norms), sizeof(float) * centres, stream);
  cudaMemsetAsync(newcen, 0, sizeof(float) * centres * static_cast<size_t>(dim), stream);
  cudaMemsetAsync(cnt, 0, sizeof(int) * centres, stream);
  find_norms<<<blocks, kThreads, 0, stream>>>(cen, norms, centres, dim);
  if (dim == 64)
    launch<64>(key, cen, norms, label, heads, length, clusters, stream);
  else
    launch<128>(key, cen, norms, label, heads, length, clusters, stream);
  add_up<<<dim3((length + kWarps - 1) / kWarps, heads), kThreads, 0, stream>>>(
      key, label, newcen, cnt, length, dim, clusters);
  divide<<<blocks, kThreads, 0, stream>>>(cen, cnt, newcen, dim, centres);
  cudaFreeAsync(norms, stream);
}
