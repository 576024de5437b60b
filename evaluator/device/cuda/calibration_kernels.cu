// Kernels whose speed is a ceiling of the device: a copy, chains of multiply-adds that fill a
// pipe, and tensor core products from shared memory. They compute nothing of use; `sink` keeps the
// compiler from noticing. Rates are operations per launch over time, counted by calibration.cc.
#include <cuda_bf16.h>

#include <cstdint>

namespace {

__device__ uint64_t thread_number() { return uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; }

constexpr int kChains = 8;  // independent multiply-adds in flight in each thread

/// `steps` rounds of kChains multiply-adds in each thread.
template <typename T>
__device__ void multiply_add(T* sink, uint32_t steps, T factor, T addend) {
  T value[kChains];
  for (int i = 0; i < kChains; ++i) value[i] = static_cast<T>(threadIdx.x + i);
  for (uint32_t step = 0; step < steps; step += 16)
#pragma unroll
    for (int inner = 0; inner < 16; ++inner)
#pragma unroll
      for (int i = 0; i < kChains; ++i) value[i] = value[i] * factor + addend;
  T sum = 0;
  for (int i = 0; i < kChains; ++i) sum += value[i];
  if (sum == static_cast<T>(12345)) sink[thread_number()] = sum;
}

__device__ uint32_t random_bits(uint32_t i) {
  i ^= i >> 16;
  i *= 0x7feb352du;
  i ^= i >> 15;
  i *= 0x846ca68bu;
  return i ^ i >> 16;
}

}  // namespace

extern "C" __global__ void assay_copy(const uint4* from, uint4* to, uint64_t count) {
  const uint64_t stride = uint64_t{gridDim.x} * blockDim.x;
  uint64_t i = thread_number();
  for (; i + 3 * stride < count; i += 4 * stride) {
    const uint4 a = from[i], b = from[i + stride], c = from[i + 2 * stride],
                d = from[i + 3 * stride];
    to[i] = a;
    to[i + stride] = b;
    to[i + 2 * stride] = c;
    to[i + 3 * stride] = d;
  }
  for (; i < count; i += stride) to[i] = from[i];
}

extern "C" __global__ void assay_fp32(float* sink, uint32_t steps) {
  multiply_add<float>(sink, steps, 0.999f, 0.001f);
}
extern "C" __global__ void assay_fp64(double* sink, uint32_t steps) {
  multiply_add<double>(sink, steps, 0.999, 0.001);
}
/// In assembly: a compiler folds steps of constant factor and addend into one.
extern "C" __global__ void assay_int32(uint32_t* sink, uint32_t steps) {
  uint32_t value[kChains];
  for (int i = 0; i < kChains; ++i) value[i] = threadIdx.x + i;
  for (uint32_t step = 0; step < steps; step += 16)
#pragma unroll
    for (int inner = 0; inner < 16; ++inner)
#pragma unroll
      for (int i = 0; i < kChains; ++i)
        asm volatile("mad.lo.u32 %0, %0, %1, %2;" : "+r"(value[i]) : "r"(steps), "r"(step));
  uint32_t sum = 0;
  for (int i = 0; i < kChains; ++i) sum += value[i];
  if (sum == 12345) sink[thread_number()] = sum;
}

// Tensor cores. One block of two warpgroups a multiprocessor; each multiplies a 64 x K tile by a
// shared K x 256 tile (wgmma, Hopper), or each warp 16 x 8 x K fragments from registers (mma.sync,
// elsewhere). K is 128 bytes of the input type in both, so that the count of operations is
// 2 * 64 * 256 * (128 / size) for a warpgroup and step.
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// 128 accumulators of a thread in m64n256.
#define ASSAY_8(C, v, i) C(v[i]), C(v[i + 1]), C(v[i + 2]), C(v[i + 3]), C(v[i + 4]), \
                         C(v[i + 5]), C(v[i + 6]), C(v[i + 7])
#define ASSAY_32(C, v, i) ASSAY_8(C, v, i), ASSAY_8(C, v, i + 8), ASSAY_8(C, v, i + 16), \
                          ASSAY_8(C, v, i + 24)
#define ASSAY_128(C, v) ASSAY_32(C, v, 0), ASSAY_32(C, v, 32), ASSAY_32(C, v, 64), \
                        ASSAY_32(C, v, 96)
#define ASSAY_NAMES                                                                            \
  "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"    \
  "%24,%25,%26,%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,"   \
  "%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,%64,%65,%66,%67,"   \
  "%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,"   \
  "%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109," \
  "%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}"
#define ASSAY_FLOAT(x) "+f"(x)
#define ASSAY_INT(x) "+r"(x)

namespace {

/// Shared memory matrix descriptor of the PTX ISA: rows of 128 bytes, 128-byte swizzle, 1 KiB from
/// one group of 8 rows to the next.
__device__ uint64_t descriptor(const void* tile) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(tile));
  return (uint64_t{1} << 62) | (uint64_t{64} << 32) | (uint64_t{1} << 16) |
         ((address & 0x3ffff) >> 4);
}

struct Bf16 {
  using Accumulator = float;
  static constexpr uint32_t kKeep = 0x807f807f, kSet = 0x3f803f80;  // +-[1, 2)
  static __device__ void multiply(float (&d)[128], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 " ASSAY_NAMES
                 ", %128, %129, 1, 1, 1, 0, 0;"
                 : ASSAY_128(ASSAY_FLOAT, d)
                 : "l"(a), "l"(b));
  }
};
struct Tf32 {
  using Accumulator = float;
  static constexpr uint32_t kKeep = 0x807fffff, kSet = 0x3f800000;
  static __device__ void multiply(float (&d)[128], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k8.f32.tf32.tf32 " ASSAY_NAMES
                 ", %128, %129, 1, 1, 1;"
                 : ASSAY_128(ASSAY_FLOAT, d)
                 : "l"(a), "l"(b));
  }
};
struct Fp8 {
  using Accumulator = float;
  static constexpr uint32_t kKeep = 0x87878787, kSet = 0x38383838;
  static __device__ void multiply(float (&d)[128], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3 " ASSAY_NAMES
                 ", %128, %129, 1, 1, 1;"
                 : ASSAY_128(ASSAY_FLOAT, d)
                 : "l"(a), "l"(b));
  }
};
struct Int8 {
  using Accumulator = int;
  static constexpr uint32_t kKeep = 0xffffffff, kSet = 0;
  static __device__ void multiply(int (&d)[128], uint64_t a, uint64_t b) {
    asm volatile("wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8 " ASSAY_NAMES
                 ", %128, %129, 1;"
                 : ASSAY_128(ASSAY_INT, d)
                 : "l"(a), "l"(b));
  }
};

template <typename Type>
__device__ void tensor(float* sink, uint32_t steps) {
  __shared__ alignas(1024) uint32_t tiles[(2 * 64 + 256) * 128 / 4];  // A of each group, then B
  for (uint32_t i = threadIdx.x; i < sizeof tiles / 4; i += blockDim.x)
    tiles[i] = (random_bits(i) & Type::kKeep) | Type::kSet;
  asm volatile("fence.proxy.async;" ::: "memory");
  __syncthreads();
  const uint32_t group = threadIdx.x / 128;
  const uint64_t a = descriptor(tiles + group * 64 * 32);
  const uint64_t b = descriptor(tiles + 2 * 64 * 32);
  typename Type::Accumulator sums[128] = {};
  for (uint32_t step = 0; step < steps; step += 4) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int tile = 0; tile < 4; ++tile)
#pragma unroll
      for (int k = 0; k < 4; ++k) Type::multiply(sums, a + 2 * k, b + 2 * k);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
  }
  float sum = 0;
  for (int i = 0; i < 128; ++i) sum += static_cast<float>(sums[i]);
  if (sum == 12345.678f) sink[thread_number()] = sum;
}

}  // namespace

#define ASSAY_TENSOR(name, Type)                                           \
  extern "C" __global__ void __launch_bounds__(256, 1)                     \
  name(float* sink, uint32_t steps) {                                      \
    tensor<Type>(sink, steps);                                             \
  }

#else

namespace {

struct Bf16 {
  using Accumulator = float;
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
struct Tf32 {
  using Accumulator = float;
  static __device__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
        "{%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};
struct Int8 {
  using Accumulator = int;
  static __device__ void multiply(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

/// A warp does a quarter of its warpgroup's step: 64 x 256 x K is 4 x 32 fragments of 16 x 8, and
/// K is 4 instructions.
template <typename Type>
__device__ void tensor(float* sink, uint32_t steps) {
  uint32_t a[4], b[2];
  for (int i = 0; i < 4; ++i) a[i] = (random_bits(threadIdx.x * 4 + i) & 0x807f807f) | 0x3f803f80;
  for (int i = 0; i < 2; ++i) b[i] = (random_bits(threadIdx.x * 2 + i) & 0x807f807f) | 0x3f803f80;
  typename Type::Accumulator sums[8][4] = {};
  for (uint32_t step = 0; step < steps; ++step)
    for (int round = 0; round < 16; ++round)
#pragma unroll
      for (int i = 0; i < 8; ++i) Type::multiply(sums[i], a, b);
  float sum = 0;
  for (auto& part : sums)
    for (auto value : part) sum += static_cast<float>(value);
  if (sum == 12345.678f) sink[thread_number()] = sum;
}

}  // namespace

#define ASSAY_TENSOR(name, Type)                                            \
  extern "C" __global__ void __launch_bounds__(256, 1)                      \
  name(float* sink, uint32_t steps) {                                       \
    tensor<Type>(sink, steps);                                              \
  }

#endif

ASSAY_TENSOR(assay_tc16, Bf16)
ASSAY_TENSOR(assay_tf32, Tf32)
ASSAY_TENSOR(assay_int8, Int8)
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
ASSAY_TENSOR(assay_fp8, Fp8)
#else
extern "C" __global__ void assay_fp8(float*, uint32_t) {}  // not measured before Hopper
#endif
