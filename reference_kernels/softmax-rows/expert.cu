// Specialist: a team of 32, 256 or 1024 threads keeps a row in registers, 32 values a thread, so
// that x is read and y is written once. Accesses are 16 bytes a lane where rows start at multiples
// of 16 bytes, else 4. Rows beyond 32768 columns are read twice, with a running maximum
// (Milakov and Gimelshein: Online normalizer calculation for softmax, 2018).
namespace {

constexpr unsigned kAll = ~0u;
constexpr float kLog2e = 1.4426950408889634f;
constexpr int kPerThread = 32;  // values of a row that a thread keeps in registers

template <int kWidth>
struct alignas(4 * kWidth) Pack {
  float of[kWidth];
};

struct Maximum {
  static __device__ float join(float a, float b) { return fmaxf(a, b); }
};
struct Sum {
  static __device__ float join(float a, float b) { return a + b; }
};

/// Reduction over kTeam neighbouring threads; each gets the result. A team of more than a warp is a
/// whole block.
template <int kTeam, typename Operation>
__device__ float reduce(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = Operation::join(value, __shfl_xor_sync(kAll, value, distance));
  if constexpr (kTeam > 32) {
    constexpr int kWarps = kTeam / 32;
    __shared__ float of_warp[kWarps];
    __syncthreads();  // the values of the reduction before this one have been read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[threadIdx.x % kWarps];
#pragma unroll
    for (int distance = kWarps / 2; distance > 0; distance /= 2)
      value = Operation::join(value, __shfl_xor_sync(kAll, value, distance));
  }
  return value;
}

/// exp(value - largest); 0 for -inf, in rows of -inf too.
__device__ float exponential(float value, float largest) {
  const float base = largest == -INFINITY ? 0.0f : largest;
  return exp2f((value - base) * kLog2e);
}
__device__ float inverse_of(float sum) { return sum > 0 ? 1.0f / sum : 0.0f; }

template <int kTeam>
constexpr int kThreadsOf = kTeam < 128 ? 128 : kTeam;

template <int kTeam, int kPacks, int kWidth>
__global__ void __launch_bounds__(kThreadsOf<kTeam>)
    softmax_in_registers(const float* __restrict__ x, float* __restrict__ y, int rows, int cols) {
  const int row = blockIdx.x * (kThreadsOf<kTeam> / kTeam) + threadIdx.x / kTeam;
  if (row >= rows) return;  // whole warps, or nobody
  const int rank = threadIdx.x % kTeam, packs = cols / kWidth;
  const auto* from = reinterpret_cast<const Pack<kWidth>*>(x + static_cast<long long>(row) * cols);
  auto* to = reinterpret_cast<Pack<kWidth>*>(y + static_cast<long long>(row) * cols);

  Pack<kWidth> values[kPacks];
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    if (rank + k * kTeam < packs) {
      values[k] = from[rank + k * kTeam];
    } else {
#pragma unroll
      for (float& value : values[k].of) value = -INFINITY;
    }
  }
  float largest = -INFINITY;
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
#pragma unroll
    for (const float value : values[k].of) largest = fmaxf(largest, value);
  largest = reduce<kTeam, Maximum>(largest);

  float sum = 0;
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
#pragma unroll
    for (float& value : values[k].of) {
      value = exponential(value, largest);
      sum += value;
    }
  const float inverse = inverse_of(reduce<kTeam, Sum>(sum));
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    if (rank + k * kTeam >= packs) continue;
#pragma unroll
    for (float& value : values[k].of) value *= inverse;
    to[rank + k * kTeam] = values[k];
  }
}

/// One block a row of any width.
template <int kWidth>
__global__ void __launch_bounds__(1024)
    softmax_in_two_passes(const float* __restrict__ x, float* __restrict__ y, int cols) {
  const int packs = cols / kWidth;
  const long long start = static_cast<long long>(blockIdx.x) * cols;
  const auto* from = reinterpret_cast<const Pack<kWidth>*>(x + start);
  auto* to = reinterpret_cast<Pack<kWidth>*>(y + start);

  float largest = -INFINITY, sum = 0;
  for (int i = threadIdx.x; i < packs; i += 1024) {
    const Pack<kWidth> values = from[i];
    float of_pack = values.of[0];
#pragma unroll
    for (const float value : values.of) of_pack = fmaxf(of_pack, value);
    if (of_pack > largest) {
      sum *= exponential(largest, of_pack);
      largest = of_pack;
    }
#pragma unroll
    for (const float value : values.of) sum += exponential(value, largest);
  }
  const float of_row = reduce<1024, Maximum>(largest);
  const float inverse = inverse_of(reduce<1024, Sum>(sum * exponential(largest, of_row)));
  for (int i = threadIdx.x; i < packs; i += 1024) {
    Pack<kWidth> values = from[i];
#pragma unroll
    for (float& value : values.of) value = exponential(value, of_row) * inverse;
    to[i] = values;
  }
}

template <int kTeam, int kPacks, int kWidth>
void launch(const float* x, float* y, int rows, int cols, cudaStream_t stream) {
  constexpr int kTeams = kThreadsOf<kTeam> / kTeam;
  softmax_in_registers<kTeam, kPacks, kWidth>
      <<<(rows + kTeams - 1) / kTeams, kThreadsOf<kTeam>, 0, stream>>>(x, y, rows, cols);
}

template <int kWidth>
void choose(const float* x, float* y, int rows, int cols, cudaStream_t stream) {
  constexpr int kPacks = kPerThread / kWidth;
  if (cols <= 32 * kPerThread / 4)
    launch<32, kPacks / 4, kWidth>(x, y, rows, cols, stream);
  else if (cols <= 32 * kPerThread)
    launch<32, kPacks, kWidth>(x, y, rows, cols, stream);
  else if (cols <= 256 * kPerThread)
    launch<256, kPacks, kWidth>(x, y, rows, cols, stream);
  else if (cols <= 1024 * kPerThread)
    launch<1024, kPacks, kWidth>(x, y, rows, cols, stream);
  else
    softmax_in_two_passes<kWidth><<<rows, 1024, 0, stream>>>(x, y, cols);
}

}  // namespace

extern "C" void solve(const float* x, float* y, int rows, int cols, cudaStream_t stream) {
  if (cols % 4 == 0)
    choose<4>(x, y, rows, cols, stream);
  else
    choose<1>(x, y, rows, cols, stream);
}
