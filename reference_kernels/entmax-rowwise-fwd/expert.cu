// Specialist: one block a row, of which x is read and y is written once. Only entries above the
// largest less `order` can count; they are gathered in shared memory, usually a few hundred, and
// one warp runs Newton's iteration on them until tau stands still.
//
// Rows of up to 2048 columns stay in registers, 32 values a thread. Longer ones stream through:
// zeros are written at once, entries that count by the largest so far are noted with their columns,
// and those that count in the end are written over the zeros. Rows with more candidates than the
// list holds (nearly constant ones) iterate with the whole block over the registers or, if long,
// by reading again.
namespace {

constexpr unsigned kAll = ~0u;
constexpr int kPerThread = 32;
constexpr int kPerTile = 8;  // values of a thread in flight, of a row that streams through
constexpr int kCandidates = 2048;
constexpr int kMostSteps = 100;  // Newton needs about ten; sparsemax ends after finitely many

__device__ float warp_max(float value) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAll, value, distance));
  return value;
}

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

/// Entries that may count, with their columns.
struct Candidates {
  float values[kCandidates];
  int columns[kCandidates];
  int count;  // offered; beyond kCandidates they are lost

  /// Adds those of the thread's values that exceed `bound`. Called by whole warps.
  template <int kCount>
  __device__ void add(const float (&own)[kCount], int first, int stride, float bound) {
    const int lane = threadIdx.x % 32;
    int found = 0;
#pragma unroll
    for (int k = 0; k < kCount; ++k) found += own[k] > bound;
    if (!__any_sync(kAll, found > 0)) return;
    int upto = found;
#pragma unroll
    for (int distance = 1; distance < 32; distance *= 2) {
      const int before = __shfl_up_sync(kAll, upto, distance);
      if (lane >= distance) upto += before;
    }
    int place = 0;
    if (lane == 31) place = atomicAdd(&count, upto);
    place = __shfl_sync(kAll, place, 31) + upto - found;
#pragma unroll
    for (int k = 0; k < kCount; ++k)
      if (own[k] > bound) {
        if (place < kCandidates) {
          values[place] = own[k];
          columns[place] = first + k * stride;
        }
        ++place;
      }
  }
};

/// Maxima of warps, twice, so that one barrier serves a round.
template <int kWarps>
struct Maxima {
  float of_warp[2][kWarps];

  /// The largest of the block's values. round: its lowest bit alternates.
  __device__ float join(float value, int round) {
    value = warp_max(value);
    if (threadIdx.x % 32 == 0) of_warp[round % 2][threadIdx.x / 32] = value;
    __syncthreads();
    return warp_max(of_warp[round % 2][threadIdx.x % kWarps]);
  }
};

/// Reads a row once, writes zeros, and collects candidates by the largest value so far. Returns the
/// largest of all.
template <int kThreads, int kOrder>
__device__ float stream(const float* __restrict__ x, float* __restrict__ y, int cols,
                        Candidates& candidates, Maxima<kThreads / 32>& maxima) {
  constexpr int kTile = kThreads * kPerTile;
  float next[kPerTile], largest = -INFINITY;
  const auto load = [&](int first) {
#pragma unroll
    for (int k = 0; k < kPerTile; ++k) {
      const int c = first + k * kThreads;
      next[k] = c < cols ? __ldcs(x + c) : -INFINITY;
    }
  };
  load(threadIdx.x);
  for (int start = 0, round = 0; start < cols; start += kTile, ++round) {
    const int first = start + static_cast<int>(threadIdx.x);
    float own[kPerTile], most = largest;
#pragma unroll
    for (int k = 0; k < kPerTile; ++k) {
      own[k] = next[k];
      most = fmaxf(most, own[k]);
    }
    load(first + kTile);
#pragma unroll
    for (int k = 0; k < kPerTile; ++k)
      if (const int c = first + k * kThreads; c < cols) __stcs(y + c, 0.0f);
    largest = maxima.join(most, round);
    candidates.add(own, first, kThreads, largest - kOrder);
  }
  return largest;
}

template <int kThreads, bool kInRegisters, int kOrder>
__global__ void __launch_bounds__(kThreads)
    entmax(const float* __restrict__ x, float* __restrict__ y, float* __restrict__ taus, int cols) {
  constexpr int kWarps = kThreads / 32;
  __shared__ Candidates candidates;
  __shared__ Maxima<kWarps> maxima;
  __shared__ float shared_tau;
  __shared__ Value values[kWarps];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const Row<kThreads, kInRegisters> row(x + static_cast<long long>(blockIdx.x) * cols, cols);
  y += static_cast<long long>(blockIdx.x) * cols;
  if (threadIdx.x == 0) candidates.count = 0;

  float largest = -INFINITY;
  if constexpr (kInRegisters) {
    row.visit([&](int, float value) { largest = fmaxf(largest, value); });
    largest = maxima.join(largest, 0);
    candidates.add(row.values, threadIdx.x, kThreads, largest - kOrder);
  } else {
    largest = stream<kThreads, kOrder>(row.x, y, cols, candidates, maxima);
  }
  __syncthreads();
  if (largest == -INFINITY) {
    if constexpr (kInRegisters) row.visit([&](int c, float) { __stcs(y + c, 0.0f); });
    if (threadIdx.x == 0) taus[blockIdx.x] = 0;
    return;
  }
  const auto relative = [largest](float value) { return (value - largest) * (1.0f / kOrder); };
  const int count = candidates.count;
  float tau = -1;
  if (count <= kCandidates) {
    if (warp == 0) {
      for (int step = 0; step < kMostSteps; ++step) {
        Value value;
        for (int i = lane; i < count; i += 32)
          value.add<kOrder>(relative(candidates.values[i]), tau);
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
  const auto share = [&](float value) { return power<kOrder>(fmaxf(relative(value) - tau, 0.0f)); };
  if (kInRegisters || count > kCandidates) {
    row.visit([&](int c, float value) { __stcs(y + c, share(value)); });
  } else {
    for (int i = threadIdx.x; i < count; i += kThreads)
      y[candidates.columns[i]] = share(candidates.values[i]);
  }
}

template <int kOrder>
void launch(const float* x, float* y, float* tau, int rows, int cols, cudaStream_t stream) {
  if (cols <= 64 * kPerThread)
    entmax<64, true, kOrder><<<rows, 64, 0, stream>>>(x, y, tau, cols);
  else if (cols <= 16384)
    entmax<256, false, kOrder><<<rows, 256, 0, stream>>>(x, y, tau, cols);
  else
    entmax<512, false, kOrder><<<rows, 512, 0, stream>>>(x, y, tau, cols);
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
