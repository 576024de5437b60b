// task: entmax-rowwise-fwd
// expect: wrong_output
// reason: mismatch
// case: masked-rows
// Subtracts -inf from -inf in masked rows.
constexpr int kThreads = 128;

template <typename Operation>
__device__ float over_block(float value, Operation operation) {
  __shared__ float scratch[kThreads];
  __syncthreads();
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      scratch[threadIdx.x] = operation(scratch[threadIdx.x], scratch[threadIdx.x + step]);
    __syncthreads();
  }
  return scratch[0];
}
struct Maximum {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

/// x, largest: a score and the row's largest. tau is relative to the largest, in units of z.
__device__ float share(float x, float largest, float tau, int order) {
  const float above = fmaxf(0.0f, (x - largest) / order - tau);
  return order == 1 ? above : order == 2 ? above * above : above * above * above;
}

__global__ void entmax(const float* x, float* y, float* taus, int cols, int order) {
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;
  float largest = -INFINITY;
  for (int c = threadIdx.x; c < cols; c += kThreads) largest = fmaxf(largest, x[c]);
  largest = over_block(largest, Maximum());
  if (false) {
    for (int c = threadIdx.x; c < cols; c += kThreads) y[c] = 0;
    if (threadIdx.x == 0) taus[blockIdx.x] = 0;
    return;
  }
  float low = -1, high = 0;
  for (int step = 0; step < 30; ++step) {
    const float middle = 0.5f * (low + high);
    float sum = 0;
    for (int c = threadIdx.x; c < cols; c += kThreads) sum += share(x[c], largest, middle, order);
    if (over_block(sum, Sum()) >= 1)
      low = middle;
    else
      high = middle;
  }
  if (threadIdx.x == 0) taus[blockIdx.x] = largest / order + low;
  for (int c = threadIdx.x; c < cols; c += kThreads) y[c] = share(x[c], largest, low, order);
}

extern "C" void solve(const float* x, float* y, float* tau, int rows, int cols, int order,
                      cudaStream_t stream) {
  entmax<<<rows, kThreads, 0, stream>>>(x, y, tau, cols, order);
}
