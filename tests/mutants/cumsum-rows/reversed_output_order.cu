// task: cumsum-rows
// expect: wrong_output
// reason: mismatch
// case: narrow-reverse
// Takes reverse to mean that the output is mirrored.
constexpr int kThreads = 256;

__global__ void cumsum(const float* x, float* y, int cols, int reverse) {
  __shared__ float sums[kThreads];
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;
  float carry = 0;
  for (int start = 0; start < cols; start += kThreads) {
    const int i = start + threadIdx.x;
    const int c = i;
    sums[threadIdx.x] = i < cols ? x[c] : 0.0f;
    __syncthreads();
    for (int step = 1; step < kThreads; step *= 2) {
      const float before = threadIdx.x >= step ? sums[threadIdx.x - step] : 0.0f;
      __syncthreads();
      sums[threadIdx.x] += before;
      __syncthreads();
    }
    if (i < cols) y[reverse ? cols - 1 - c : c] = carry + sums[threadIdx.x];
    carry += sums[kThreads - 1];
    __syncthreads();
  }
}

extern "C" void solve(const float* x, float* y, int rows, int cols, int reverse,
                      cudaStream_t stream) {
  cumsum<<<rows, kThreads, 0, stream>>>(x, y, cols, reverse);
}
