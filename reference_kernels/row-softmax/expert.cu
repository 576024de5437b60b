// Specialist: a team of threads takes a row and keeps it in registers, so that x is read and y is
// written once. The size of the teams follows from the average width of the rows: 8 lanes, a warp
// or a block. Rows that are too wide for their team are left to the whole block, which goes over
// them twice with a running maximum (Milakov and Gimelshein: Online normalizer calculation for
// softmax, 2018). Rows start anywhere, so accesses are 4 bytes a lane, coalesced, with many in
// flight.
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kMaxPerThread = 16;  // elements of a row that a thread keeps in registers
constexpr unsigned kAll = ~0u;
constexpr float kLog2e = 1.4426950408889634f;

struct Maximum {
  static __device__ float join(float a, float b) { return fmaxf(a, b); }
};
struct Sum {
  static __device__ float join(float a, float b) { return a + b; }
};

/// Reduction over kTeam neighbouring threads; each gets the result. All threads of the block call
/// it together.
template <int kTeam, typename Operation>
__device__ float reduce(float value) {
#pragma unroll
  for (int distance = min(kTeam, 32) / 2; distance > 0; distance /= 2)
    value = Operation::join(value, __shfl_xor_sync(kAll, value, distance));
  if constexpr (kTeam == kThreads) {
    __shared__ float of_warp[kWarps];
    __syncthreads();  // the values of the reduction before this one have been read
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warp[0];
#pragma unroll
    for (int warp = 1; warp < kWarps; ++warp) value = Operation::join(value, of_warp[warp]);
  }
  return value;
}

/// A row of at most kPerThread * kTeam elements, possibly none.
template <int kTeam, int kPerThread>
__device__ void softmax_in_registers(const float* __restrict__ x, float* __restrict__ y,
                                     int width) {
  const int rank = threadIdx.x % kTeam;
  float values[kPerThread];
  float largest = -INFINITY;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    values[k] = rank + k * kTeam < width ? x[rank + k * kTeam] : -INFINITY;
    largest = fmaxf(largest, values[k]);
  }
  largest = reduce<kTeam, Maximum>(largest);

  float sum = 0;
#pragma unroll
  for (int k = 0; k < kPerThread; ++k) {
    values[k] = exp2f((values[k] - largest) * kLog2e);
    sum += values[k];
  }
  const float inverse = 1.0f / reduce<kTeam, Sum>(sum);
#pragma unroll
  for (int k = 0; k < kPerThread; ++k)
    if (rank + k * kTeam < width) y[rank + k * kTeam] = values[k] * inverse;
}

/// A row of any width, by the block.
__device__ void softmax_in_two_passes(const float* __restrict__ x, float* __restrict__ y,
                                      int width) {
  float largest = -INFINITY, sum = 0;
  for (int i = threadIdx.x; i < width; i += kThreads) {
    const float value = x[i];
    if (value > largest) {
      sum *= exp2f((largest - value) * kLog2e);
      largest = value;
    }
    sum += exp2f((value - largest) * kLog2e);
  }
  const float of_row = reduce<kThreads, Maximum>(largest);
  const float share = sum * exp2f((largest - of_row) * kLog2e);
  const float inverse = 1.0f / reduce<kThreads, Sum>(share);
  for (int i = threadIdx.x; i < width; i += kThreads)
    y[i] = exp2f((x[i] - of_row) * kLog2e) * inverse;
}

template <int kTeam>
__global__ void __launch_bounds__(kThreads)
    softmax(const float* __restrict__ x, const int* __restrict__ offsets, float* __restrict__ y,
            int rows) {
  constexpr int kTeams = kThreads / kTeam;
  constexpr int kCapacity = kMaxPerThread * kTeam;
  __shared__ int wide_rows[kTeams];
  __shared__ int wide_count;
  if (threadIdx.x == 0) wide_count = 0;
  __syncthreads();

  const int row = blockIdx.x * kTeams + threadIdx.x / kTeam;
  const int begin = row < rows ? offsets[row] : 0;
  int width = row < rows ? offsets[row + 1] - begin : 0;
  if (width > kCapacity) {
    if (threadIdx.x % kTeam == 0) wide_rows[atomicAdd(&wide_count, 1)] = row;
    width = 0;
  }
  // Teams of one warp take the same branch, that of the widest row, and so reduce together.
  const int widest = kTeam < 32 ? __reduce_max_sync(kAll, width) : width;
  if (widest > 6 * kTeam)
    softmax_in_registers<kTeam, kMaxPerThread>(x + begin, y + begin, width);
  else if (widest > 2 * kTeam)
    softmax_in_registers<kTeam, 6>(x + begin, y + begin, width);
  else if (widest > 0)
    softmax_in_registers<kTeam, 2>(x + begin, y + begin, width);

  __syncthreads();
  for (int i = 0; i < wide_count; ++i) {
    const int first = offsets[wide_rows[i]];
    softmax_in_two_passes(x + first, y + first, offsets[wide_rows[i] + 1] - first);
  }
}

template <int kTeam>
void launch(const float* x, const int* offsets, float* y, int rows, cudaStream_t stream) {
  constexpr int kTeams = kThreads / kTeam;
  softmax<kTeam><<<(rows + kTeams - 1) / kTeams, kThreads, 0, stream>>>(x, offsets, y, rows);
}

}  // namespace

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  const int average = nnz / rows;
  if (average <= 8 * 12)
    launch<8>(x, offsets, y, rows, stream);
  else if (average <= 32 * 12)
    launch<32>(x, offsets, y, rows, stream);
  else
    launch<kThreads>(x, offsets, y, rows, stream);
}
