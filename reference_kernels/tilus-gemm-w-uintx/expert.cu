// Specialist: tiles of 64 k x 128 n of the packed weights and of x arrive by cp.async in a ring of
// four stages. 32 codes of one k are exactly `bits` words: each thread takes such a run and cuts it
// by shifts that are known at compile time. A code in the low bits of 1024 is exact in f16; 1024
// plus the zero point is subtracted, exactly, and the scale multiplied, two codes an instruction.
// The f16 tile lies in shared memory, its chunks permuted, for ldmatrix and mma.sync with f32 sums.
// Few rows of x take tiles of 16, many of 128.
#include <cuda_fp16.h>

namespace {

constexpr int kTileN = 128;
constexpr int kTileK = 64;
constexpr int kGroup = 128;  // k that share a scale
constexpr int kStages = 4;
constexpr int kWarpN = 32;

/// 16 bytes, or zeros.
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
__device__ void load_matrices_transposed(unsigned (&f)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3])
               : "r"(address)
               : "memory");
}
__device__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ void copy_word_async(unsigned target, const void* source, bool inside) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(target), "l"(source),
               "r"(inside ? 4 : 0)
               : "memory");
}

struct Problem {
  const __half* __restrict__ x;
  const unsigned char* __restrict__ wq;
  const __half* __restrict__ s;
  const __half* __restrict__ zp;
  __half* __restrict__ y;
  int m, k, n;
};

template <int kWidth>
__device__ unsigned offset_bytes(int row, int chunk) {
  return static_cast<unsigned>(row * (kWidth / 8) + (chunk ^ (row % 8))) * 16;
}

template <int kTileM, int kWarpM, int kBits>
struct Block {
  static constexpr int kThreads = kTileM / kWarpM * (kTileN / kWarpN) * 32;
  static constexpr int kRowBytes = kTileN * kBits / 8;  // of packed weights
  static constexpr int kPackedBytes = kTileK * kRowBytes;
  static constexpr int kStageBytes = kPackedBytes + kTileM * kTileK * 2;
  static constexpr int kDecoded = kStages * kStageBytes;
  static constexpr int kBytes = kDecoded + 2 * kTileK * kTileN * 2;

  const Problem& p;
  unsigned char* shared;
  unsigned base;
  int first_row, first_column;

  __device__ void fill(int step) const {
    const unsigned packed = base + step % kStages * kStageBytes;
    const long long row_bytes = static_cast<long long>(p.n) * kBits / 8;
    const unsigned char* source = p.wq + step * kTileK * row_bytes + first_column * kBits / 8;
    const int wanted = min(kTileN, p.n - first_column) * kBits / 8;
    if (wanted == kRowBytes && row_bytes % 16 == 0) {
      for (int i = threadIdx.x; i < kPackedBytes / 16; i += kThreads)
        copy_async(packed + i * 16,
                   source + i / (kRowBytes / 16) * row_bytes + i % (kRowBytes / 16) * 16, true);
    } else {
      for (int i = threadIdx.x; i < kPackedBytes / 4; i += kThreads) {
        const int at = i % (kRowBytes / 4) * 4;
        const bool inside = at < wanted;
        copy_word_async(packed + i * 4,
                        inside ? source + i / (kRowBytes / 4) * row_bytes + at : p.wq, inside);
      }
    }
    for (int i = threadIdx.x; i < kTileM * kTileK / 8; i += kThreads) {
      const int row = i / (kTileK / 8), chunk = i % (kTileK / 8);
      const bool inside = first_row + row < p.m;
      const long long at =
          static_cast<long long>(first_row + row) * p.k + step * kTileK + chunk * 8;
      copy_async(packed + kPackedBytes + offset_bytes<kTileK>(row, chunk), p.x + (inside ? at : 0),
                 inside);
    }
  }

  /// Weights of a step, as f16, into one of the two decoded tiles.
  __device__ void decode(int step) const {
    const unsigned char* packed = shared + step % kStages * kStageBytes;
    unsigned char* decoded = shared + kDecoded + step % 2 * (kTileK * kTileN * 2);
    for (int i = threadIdx.x; i < kTileK * kTileN / 32; i += kThreads) {
      const int row = i / (kTileN / 32), run = i % (kTileN / 32);
      const int column = first_column + run * 32;
      if (column >= p.n) continue;  // what is left there only reaches columns beyond n
      const long long group = static_cast<long long>(step * kTileK / kGroup) * p.n + column;
      unsigned words[kBits + 1];
#pragma unroll
      for (int w = 0; w < kBits; ++w)
        words[w] =
            *reinterpret_cast<const unsigned*>(packed + row * kRowBytes + (run * kBits + w) * 4);
      words[kBits] = 0;
#pragma unroll
      for (int chunk = 0; chunk < 4; ++chunk) {
        const uint4 scales = __ldg(reinterpret_cast<const uint4*>(p.s + group) + chunk);
        const uint4 zeros = __ldg(reinterpret_cast<const uint4*>(p.zp + group) + chunk);
        const unsigned of_pair[4] = {scales.x, scales.y, scales.z, scales.w};
        const unsigned zero_of_pair[4] = {zeros.x, zeros.y, zeros.z, zeros.w};
        unsigned pairs[4];
#pragma unroll
        for (int j = 0; j < 4; ++j)
          pairs[j] = weights(code(words, chunk * 8 + j * 2), code(words, chunk * 8 + j * 2 + 1),
                             of_pair[j], zero_of_pair[j]);
        *reinterpret_cast<uint4*>(decoded + offset_bytes<kTileN>(row, run * 4 + chunk)) =
            make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      }
    }
  }
  static __device__ unsigned code(const unsigned (&words)[kBits + 1], int index) {
    const int bit = index * kBits;
    return __funnelshift_r(words[bit / 32], words[bit / 32 + 1], bit % 32) & ((1u << kBits) - 1);
  }
  static __device__ unsigned weights(unsigned low, unsigned high, unsigned scale_bits,
                                     unsigned zero_bits) {
    const unsigned bits = low | high << 16 | 0x64006400u;  // 1024 + code
    const __half2 scale = *reinterpret_cast<const __half2*>(&scale_bits);
    const __half2 offset =
        __hadd2(__float2half2_rn(1024), *reinterpret_cast<const __half2*>(&zero_bits));
    const __half2 result =
        __hmul2(__hsub2(*reinterpret_cast<const __half2*>(&bits), offset), scale);
    return *reinterpret_cast<const unsigned*>(&result);
  }
};

template <int kTileM, int kWarpM, int kBits>
__global__ void __launch_bounds__(Block<kTileM, kWarpM, kBits>::kThreads) product(const Problem p) {
  extern __shared__ __align__(128) unsigned char shared[];
  using B = Block<kTileM, kWarpM, kBits>;
  const unsigned base = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int warp_row = warp / (kTileN / kWarpN) * kWarpM;
  const int warp_column = warp % (kTileN / kWarpN) * kWarpN;
  const B block{p, shared, base, static_cast<int>(blockIdx.x) * kTileM,
                static_cast<int>(blockIdx.y) * kTileN};
  const int steps = p.k / kTileK;
  float sums[kWarpM / 16][kWarpN / 8][4] = {};
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) block.fill(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // this step has arrived, and the stage before is free
    if (step + kStages - 1 < steps) block.fill(step + kStages - 1);
    commit_copies();
    block.decode(step);
    __syncthreads();
    const unsigned x = base + step % kStages * B::kStageBytes + B::kPackedBytes;
    const unsigned w = base + B::kDecoded + step % 2 * (kTileK * kTileN * 2);
#pragma unroll
    for (int inner = 0; inner < kTileK / 16; ++inner) {
      unsigned a[kWarpM / 16][4], b[kWarpN / 16][4];
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
        load_matrices(
            a[i], x + offset_bytes<kTileK>(warp_row + i * 16 + lane % 16, inner * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < kWarpN / 16; ++j)
        load_matrices_transposed(
            b[j],
            w + offset_bytes<kTileN>(inner * 16 + lane % 16, warp_column / 8 + j * 2 + lane / 16));
#pragma unroll
      for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN / 8; ++j)
          multiply_add(sums[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }
#pragma unroll
  for (int i = 0; i < kWarpM / 16; ++i)
#pragma unroll
    for (int j = 0; j < kWarpN / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = block.first_row + warp_row + i * 16 + lane / 4 + half * 8;
        const int column = block.first_column + warp_column + j * 8 + lane % 4 * 2;
        if (row < p.m && column < p.n)
          *reinterpret_cast<__half2*>(p.y + static_cast<long long>(row) * p.n + column) =
              __floats2half2_rn(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

template <int kTileM, int kWarpM, int kBits>
void launch(const Problem& p, cudaStream_t stream) {
  using B = Block<kTileM, kWarpM, kBits>;
  cudaFuncSetAttribute(product<kTileM, kWarpM, kBits>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       B::kBytes);
  const dim3 grid((p.m + kTileM - 1) / kTileM, (p.n + kTileN - 1) / kTileN);
  product<kTileM, kWarpM, kBits><<<grid, B::kThreads, B::kBytes, stream>>>(p);
}

template <int kBits>
void launch_rows(const Problem& p, cudaStream_t stream) {
  if (p.m <= 16)
    launch<16, 16, kBits>(p, stream);
  else if (p.m <= 64)
    launch<64, 32, kBits>(p, stream);
  else
    launch<128, 64, kBits>(p, stream);
}

}  // namespace

extern "C" void solve(const __half* x, const unsigned char* wq, const __half* s, const __half* zp,
                      __half* y, int m, int k, int n, int bits, cudaStream_t stream) {
  const Problem p{x, wq, s, zp, y, m, k, n};
  if (bits == 1)
    launch_rows<1>(p, stream);
  else if (bits == 2)
    launch_rows<2>(p, stream);
  else if (bits == 3)
    launch_rows<3>(p, stream);
  else if (bits == 5)
    launch_rows<5>(p, stream);
  else
    launch_rows<7>(p, stream);
}
