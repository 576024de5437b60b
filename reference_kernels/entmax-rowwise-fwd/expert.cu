// Specialist: one block a row, which it keeps in registers, 32 values a thread, so that x is read
// and y is written once. Only entries above the largest less 1 can count; they are gathered in
// shared memory, usually a few dozen, and one warp runs Newton's iteration on them until tau stands
// still. Rows with more candidates than the list holds (nearly constant ones) iterate with the
// whole block over the registers. Rows beyond 32768 columns are read again from the caches instead.
namespace {

constexpr unsigned kAll = ~0u;
constexpr int kPerThread = 32;
constexpr int kCandidates = 1024;
constexpr int kMostSteps = 100;  // Newton needs about ten; sparsemax ends after finitely many

template <int kOrder>
__device__ float power(float above) {
  return kOrder == 1 ? above : kOrder == 2 ? above * above : above * above * above;
}

/// The sum of shares less 1, and its slope, negated.
struct Value {
  float shares = 0, slope = 0;

  template <int kOrder>
  __device__ void add(float z, float tau) {
    const float above = z - tau;
    if (above <= 0) return;
    shares += power<kOrder>(above);
    slope += kOrder == 1 ? 1.0f : kOrder == 2 ? 2 * above : 3 * above * above;
  }
  __device__ void join_over_warp() {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      shares += __shfl_xor_sync(kAll, shares, distance);
      slope += __shfl_xor_sync(kAll, slope, distance);
    }
  }
  /// The next tau; the same again where the iteration has ended.
  __device__ float next(float tau) const {
    const float step = (shares - 1) / slope;
    return step > 0 ? tau + step : tau;
  }
};

/// A row of which each thread holds some values, in registers or by reading them again.
template <int kThreads, bool kInRegisters>
struct Row {
  const float* x;
  int cols;
  float values[kInRegisters ? kPerThread : 1];

  __device__ Row(const float* row, int count) : x(row), cols(count) {
    if constexpr (kInRegisters)
#pragma unroll
      for (int k = 0; k < kPerThread; ++k) {
        const int c = threadIdx.x + k * kThreads;
        values[k] = c < cols ? __ldcs(x + c) : -INFINITY;
      }
  }
  template <typename Use>
  __device__ void visit(Use use) const {
    if constexpr (kInRegisters) {
#pragma unroll
      for (int k = 0; k < kPerThread; ++k)
        if (const int c = threadIdx.x + k * kThreads; c < cols) use(c, values[k]);
    } else {
      for (int c = threadIdx.x; c < cols; c += kThreads) use(c, x[c]);
    }
  }
};

template <int kThreads, bool kInRegisters, int kOrder>
__global__ void __launch_bounds__(kThreads)
    entmax(const float* __restrict__ x, float* __restrict__ y, float* __restrict__ taus, int cols) {
  constexpr int kWarps = kThreads / 32;
  __shared__ float candidates[kCandidates], maxima[kWarps], shared_tau;
  __shared__ Value values[kWarps];
  __shared__ int count;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Row<kThreads, kInRegisters> row(x + static_cast<long long>(blockIdx.x) * cols, cols);
  y += static_cast<long long>(blockIdx.x) * cols;

  float largest = -INFINITY;
  row.visit([&](int, float value) { largest = fmaxf(largest, value); });
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, distance));
  if (lane == 0) maxima[warp] = largest;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  largest = maxima[threadIdx.x % kWarps];
#pragma unroll
  for (int distance = kWarps / 2; distance > 0; distance /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, distance));
  if (largest == -INFINITY) {
    row.visit([&](int c, float) { __stcs(y + c, 0.0f); });
    if (threadIdx.x == 0) taus[blockIdx.x] = 0;
    return;
  }
  const auto relative = [largest](float value) { return (value - largest) * (1.0f / kOrder); };

  row.visit([&](int, float value) {
    const float z = relative(value);
    if (z <= -1) return;
    const int place = atomicAdd(&count, 1);
    if (place < kCandidates) candidates[place] = z;
  });
  __syncthreads();
  float tau = -1;
  if (count <= kCandidates) {
    if (warp == 0) {
      for (int step = 0; step < kMostSteps; ++step) {
        Value value;
        for (int i = lane; i < count; i += 32) value.add<kOrder>(candidates[i], tau);
        value.join_over_warp();
        const float next = value.next(tau);
        if (next == tau) break;
        tau = next;
      }
      if (lane == 0) shared_tau = tau;
    }
    __syncthreads();
    tau = shared_tau;
  } else {
    for (int step = 0; step < kMostSteps; ++step) {
      Value value;
      row.visit([&](int, float v) { value.add<kOrder>(relative(v), tau); });
      value.join_over_warp();
      __syncthreads();  // the values of the step before have been read
      if (lane == 0) values[warp] = value;
      __syncthreads();
      value = values[threadIdx.x % kWarps];
#pragma unroll
      for (int distance = kWarps / 2; distance > 0; distance /= 2) {
        value.shares += __shfl_xor_sync(kAll, value.shares, distance);
        value.slope += __shfl_xor_sync(kAll, value.slope, distance);
      }
      const float next = value.next(tau);
      if (next == tau) break;  // for all threads alike
      tau = next;
    }
  }
  if (threadIdx.x == 0) taus[blockIdx.x] = largest / kOrder + tau;
  row.visit([&](int c, float value) {
    __stcs(y + c, power<kOrder>(fmaxf(relative(value) - tau, 0.0f)));
  });
}

template <int kOrder>
void launch(const float* x, float* y, float* tau, int rows, int cols, cudaStream_t stream) {
  if (cols <= 64 * kPerThread)
    entmax<64, true, kOrder><<<rows, 64, 0, stream>>>(x, y, tau, cols);
  else if (cols <= 256 * kPerThread)
    entmax<256, true, kOrder><<<rows, 256, 0, stream>>>(x, y, tau, cols);
  else if (cols <= 1024 * kPerThread)
    entmax<1024, true, kOrder><<<rows, 1024, 0, stream>>>(x, y, tau, cols);
  else
    entmax<1024, false, kOrder><<<rows, 1024, 0, stream>>>(x, y, tau, cols);
}

}  // namespace

extern "C" void solve(const float* x, float* y, float* tau, int rows, int cols, int order,
                      cudaStream_t stream) {
  if (order == 1)
    launch<1>(x, y, tau, rows, cols, stream);
  else if (order == 2)
    launch<2>(x, y, tau, rows, cols, stream);
  else
    launch<3>(x, y, tau, rows, cols, stream);
}
