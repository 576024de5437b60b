// Specialist: a (token, head) pair meets second keys at the distances 0 to window2 - 1. At one
// distance the task is the backward pass of an attention with queries q[i] * k2[i - distance] and
// gradients dout[i] * v2[i - distance], so that no row meets a second key that it does not see. A
// block has 64 first keys, 16 a warp, and walks over tiles of 32 pairs that share its head of keys;
// for each distance their products are written to shared memory, where
// they are right operands twice. Scores and their gradients stay in registers and become left
// operands of the second products, which are added to the sums at once. Tiles are dealt out to as
// many blocks as fill the machine, whose sums meet in f32 atomics. Bound by reads from shared
// memory: for 16 first keys a warp reads both tiles twice.
#include <cuda_bf16.h>

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kKeys = 16 * kWarps;  // first keys of a block
constexpr int kRows = 32;           // (token, head) pairs of a tile
constexpr float kLog2e = 1.4426950408889634f;

__device__ void copy_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 16 : 0)
               : "memory");
}
__device__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
__device__ void load_matrices(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void load_matrices_transposed(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
/// 16 x 8 of c += 16 x 16 of a times 16 x 8 of b.
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ unsigned rounded_pair(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}
/// Products of two pairs, rounded to bf16.
__device__ unsigned multiply_pairs(unsigned a, unsigned b) {
  const __nv_bfloat162 product = __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&a),
                                         *reinterpret_cast<const __nv_bfloat162*>(&b));
  return *reinterpret_cast<const unsigned*>(&product);
}
struct Problem {
  const __nv_bfloat16* __restrict__ q;
  const __nv_bfloat16* __restrict__ dout;
  const __nv_bfloat16* __restrict__ k1;
  const __nv_bfloat16* __restrict__ k2;
  const __nv_bfloat16* __restrict__ v1;
  const __nv_bfloat16* __restrict__ v2;
  const float* __restrict__ lse;
  const float* __restrict__ delta;
  float* __restrict__ dk1;
  float* __restrict__ dv1;
  int length, heads, kv_heads, window1, window2, splits;
};

/// Pairs of one sequence and head of keys: row r is head r % group of token r / group.
struct Rows {
  const Problem& p;
  int b, m, group, count;

  __device__ Rows(const Problem& problem, int of_batch, int of_head)
      : p(problem), b(of_batch), m(of_head), group(p.heads / p.kv_heads), count(p.length * group) {}
  __device__ int token(int row) const { return row / group; }
  __device__ int head(int row) const { return m * group + row % group; }
  __device__ long long of_query(int row, int dim) const {
    return ((static_cast<long long>(b) * p.length + token(row)) * p.heads + head(row)) * dim;
  }
  __device__ long long of_key(int key, int dim) const {
    return ((static_cast<long long>(b) * p.length + key) * p.kv_heads + m) * dim;
  }
  __device__ long long of_moment(int row) const {
    return (static_cast<long long>(b) * p.heads + head(row)) * p.length + token(row);
  }
};

template <int kDim>
struct Tiles {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kKeyBytes = kKeys * kDim * 2;
  static constexpr int kRowBytes = kRows * kDim * 2;

  unsigned k1, v1, q, dout;  // shared addresses

  __device__ explicit Tiles(unsigned base)
      : k1(base), v1(k1 + kKeyBytes), q(v1 + kKeyBytes), dout(q + kRowBytes) {}
  static __device__ unsigned offset_bytes(int row, int chunk) {
    constexpr int kPermuted = kChunks < 8 ? kChunks : 8;
    return static_cast<unsigned>(row * kChunks + (chunk ^ (row % kPermuted))) * 16;
  }
  __device__ void fill_keys(const Rows& rows, int first) const {
    for (int index = threadIdx.x; index < kKeys * kChunks; index += kThreads) {
      const int row = index / kChunks, chunk = index % kChunks;
      const bool inside = first + row < rows.p.length;
      const long long at = inside ? rows.of_key(first + row, kDim) + chunk * 8 : 0;
      copy_async(k1 + offset_bytes(row, chunk), rows.p.k1 + at, inside);
      copy_async(v1 + offset_bytes(row, chunk), rows.p.v1 + at, inside);
    }
  }
};

/// A thread's share of a tile's rows, and of their products with second keys and values.
template <int kDim>
struct Products {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kOwn = (kRows * kChunks + kThreads - 1) / kThreads;

  long long from[kOwn];  // elements of q and dout
  int tokens[kOwn];      // -1: no such row

  static __device__ uint4 load_eight(const __nv_bfloat16* from) {
    return __ldg(reinterpret_cast<const uint4*>(from));
  }
  static __device__ void store_products(unsigned target, uint4 a, uint4 b) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(target),
                 "r"(multiply_pairs(a.x, b.x)), "r"(multiply_pairs(a.y, b.y)),
                 "r"(multiply_pairs(a.z, b.z)), "r"(multiply_pairs(a.w, b.w))
                 : "memory");
  }
  __device__ Products(const Rows& rows, int first) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int index = threadIdx.x + i * kThreads, row = first + index / kChunks;
      const bool inside = index < kRows * kChunks && row < rows.count;
      from[i] = inside ? rows.of_query(row, kDim) + index % kChunks * 8 : 0;
      tokens[i] = inside ? rows.token(row) : -1;
    }
  }
  /// Zeros where a row has no second key at this distance.
  __device__ void write(const Rows& rows, const Tiles<kDim>& tiles, int distance) const {
    const uint4 zeros = make_uint4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const int index = threadIdx.x + i * kThreads;
      if (index >= kRows * kChunks) continue;
      const int row = index / kChunks, chunk = index % kChunks, key = tokens[i] - distance;
      const long long at = key >= 0 ? rows.of_key(key, kDim) + chunk * 8 : 0;
      const unsigned offset = tiles.offset_bytes(row, chunk);
      store_products(tiles.q + offset, load_eight(rows.p.q + from[i]),
                     key >= 0 ? load_eight(rows.p.k2 + at) : zeros);
      store_products(tiles.dout + offset, load_eight(rows.p.dout + from[i]),
                     key >= 0 ? load_eight(rows.p.v2 + at) : zeros);
    }
  }
};

/// What a thread knows of its columns of a tile: 8 (token, head) pairs.
struct Columns {
  int tokens[kRows / 8][2];                      // -1: no such row
  float lse[kRows / 8][2], delta[kRows / 8][2];  // lse in exponents of 2

  __device__ Columns(const Rows& rows, int first) {
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n)
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int row = first + n * 8 + threadIdx.x % 4 * 2 + side;
        const bool inside = row < rows.count;
        tokens[n][side] = inside ? rows.token(row) : -1;
        lse[n][side] = inside ? __ldg(rows.p.lse + rows.of_moment(row)) * kLog2e : 0;
        delta[n][side] = inside ? __ldg(rows.p.delta + rows.of_moment(row)) : 0;
      }
  }
};

/// Sums of a warp's 16 first keys.
template <int kDim>
struct Gradients {
  float of_keys[kDim / 8][4] = {}, of_values[kDim / 8][4] = {};

  /// products += shared rows of this warp times the tile's rows.
  static __device__ void multiply(float (&products)[kRows / 8][4], unsigned first_rows,
                                  unsigned tile) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
    for (int i = 0; i < kDim / 16; ++i) {
      unsigned a[4];
      load_matrices(
          a, first_rows + Tiles<kDim>::offset_bytes(warp * 16 + lane % 16, i * 2 + lane / 16));
#pragma unroll
      for (int n = 0; n < kRows / 16; ++n) {
        unsigned b[4];
        load_matrices(b, tile + Tiles<kDim>::offset_bytes(n * 16 + lane / 16 * 8 + lane % 8,
                                                          i * 2 + lane / 8 % 2));
        multiply_add(products[2 * n], a, b[0], b[1]);
        multiply_add(products[2 * n + 1], a, b[2], b[3]);
      }
    }
  }

  /// sums += left times the tile's rows.
  static __device__ void accumulate(float (&sums)[kDim / 8][4], const float (&left)[kRows / 8][4],
                                    unsigned tile) {
    const int lane = threadIdx.x % 32;
    unsigned a[kRows / 16][4];
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        a[n / 2][n % 2 * 2 + half] = rounded_pair(left[n][2 * half], left[n][2 * half + 1]);
#pragma unroll
    for (int d = 0; d < kDim / 16; ++d) {
#pragma unroll
      for (int n = 0; n < kRows / 16; ++n) {
        unsigned b[4];
        load_matrices_transposed(
            b, tile + Tiles<kDim>::offset_bytes(n * 16 + lane % 16, d * 2 + lane / 16));
        multiply_add(sums[2 * d], a[n], b[0], b[1]);
        multiply_add(sums[2 * d + 1], a[n], b[2], b[3]);
      }
    }
  }

  /// A tile's rows with their second keys at a distance.
  __device__ void add(const Rows& rows, const Tiles<kDim>& tiles, const Columns& columns,
                      int first_key, int distance) {
    const Problem& p = rows.p;
    const int lane = threadIdx.x % 32;
    const float scale = kLog2e * rsqrtf(static_cast<float>(kDim));
    float weights[kRows / 8][4] = {}, of_scores[kRows / 8][4] = {};
    multiply(weights, tiles.k1, tiles.q);
    multiply(of_scores, tiles.v1, tiles.dout);
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = columns.tokens[n][e % 2], key = first_key + lane / 4 + e / 2 * 8;
        const bool seen = key <= token && key > token - p.window1 && distance <= token;
        weights[n][e] = seen ? exp2f(weights[n][e] * scale - columns.lse[n][e % 2]) : 0.0f;
        of_scores[n][e] = weights[n][e] * (of_scores[n][e] - columns.delta[n][e % 2]);
      }
    accumulate(of_values, weights, tiles.dout);
    accumulate(of_keys, of_scores, tiles.q);
  }

  static __device__ void store(const Rows& rows, float* to, const float (&sums)[kDim / 8][4],
                               int first_key, float scale) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const int key = first_key + lane / 4 + e / 2 * 8;
      if (key >= rows.p.length) continue;
      float* row = to + rows.of_key(key, kDim) + lane % 4 * 2 + e % 2;
#pragma unroll
      for (int d = 0; d < kDim / 8; ++d) atomicAdd(row + d * 8, sums[d][e] * scale);
    }
  }
};

template <int kDim>
__global__ void __launch_bounds__(kThreads) accumulate(const Problem p) {
  __shared__ __align__(
      128) unsigned char shared[2 * (Tiles<kDim>::kKeyBytes + Tiles<kDim>::kRowBytes)];
  const Tiles<kDim> tiles(static_cast<unsigned>(__cvta_generic_to_shared(shared)));
  const int split = blockIdx.x % p.splits, block_key = blockIdx.x / p.splits * kKeys;
  const Rows rows(p, blockIdx.z, blockIdx.y);
  const int own = block_key + threadIdx.x / 32 * 16;
  const int begin = block_key * rows.group;
  const int end = min(p.length, block_key + kKeys + p.window1 - 1) * rows.group;
  Gradients<kDim> gradients;
  tiles.fill_keys(rows, block_key);
  wait_for_copies();
  for (int first = begin + split * kRows; first < end; first += p.splits * kRows) {
    const Products<kDim> products(rows, first);
    const Columns columns(rows, first);
    const int first_token = rows.token(first);
    const int last_token = rows.token(min(first + kRows, rows.count) - 1);
    const bool seen = own <= last_token && own + 16 > first_token - p.window1 + 1;
    for (int distance = 0; distance < min(p.window2, last_token + 1); ++distance) {
      products.write(rows, tiles, distance);
      __syncthreads();
      if (seen) gradients.add(rows, tiles, columns, own, distance);
      __syncthreads();  // the tile may be written again
    }
  }
  gradients.store(rows, p.dk1, gradients.of_keys, own, rsqrtf(static_cast<float>(kDim)));
  gradients.store(rows, p.dv1, gradients.of_values, own, 1);
}

template <int kDim>
void launch(Problem p, int batch, cudaStream_t stream) {
  const int blocks = (p.length + kKeys - 1) / kKeys;
  const int tiles = ((kKeys + p.window1) * (p.heads / p.kv_heads) + kRows - 1) / kRows;
  p.splits = min(max(1056 / (blocks * p.kv_heads * batch), 1), tiles);
  const size_t bytes = sizeof(float) * batch * p.length * p.kv_heads * kDim;
  cudaMemsetAsync(p.dk1, 0, bytes, stream);
  cudaMemsetAsync(p.dv1, 0, bytes, stream);
  accumulate<kDim><<<dim3(blocks * p.splits, p.kv_heads, batch), kThreads, 0, stream>>>(p);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* dout, const __nv_bfloat16* k1,
                      const __nv_bfloat16* k2, const __nv_bfloat16* v1, const __nv_bfloat16* v2,
                      const float* lse, const float* delta, float* dk1, float* dv1, int batch,
                      int length, int heads, int kv_heads, int dim, int window1, int window2,
                      cudaStream_t stream) {
  const Problem p{q,   dout, k1,     k2,    v1,       v2,      lse,     delta,
                  dk1, dv1,  length, heads, kv_heads, window1, window2, 1};
  if (dim == 16)
    launch<16>(p, batch, stream);
  else if (dim == 64)
    launch<64>(p, batch, stream);
  else
    launch<128>(p, batch, stream);
}
