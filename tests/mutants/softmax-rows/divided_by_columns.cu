// task: softmax-rows
// expect: wrong_output
// reason: mismatch
// Divides by the number of columns instead of the sum.
constexpr int kThreads = 128;

__global__ void softmax(const float* x, float* y, int cols) {
  __shared__ float scratch[kThreads];
  const int thread = threadIdx.x;
  x += static_cast<long long>(blockIdx.x) * cols;
  y += static_cast<long long>(blockIdx.x) * cols;

  float largest = -INFINITY;
  for (int c = thread; c < cols; c += kThreads) largest = fmaxf(largest, x[c]);
  scratch[thread] = largest;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (thread < step) scratch[thread] = fmaxf(scratch[thread], scratch[thread + step]);
    __syncthreads();
  }
  largest = scratch[0];
  __syncthreads();
  if (largest == -INFINITY) {
    for (int c = thread; c < cols; c += kThreads) y[c] = 0;
    return;
  }

  float sum = 0;
  for (int c = thread; c < cols; c += kThreads) sum += expf(x[c] - largest);
  scratch[thread] = sum;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (thread < step) scratch[thread] += scratch[thread + step];
    __syncthreads();
  }
  sum = scratch[0];

  for (int c = thread; c < cols; c += kThreads) y[c] = expf(x[c] - largest) / cols;
}

extern "C" void solve(const float* x, float* y, int rows, int cols, cudaStream_t stream) {
  softmax<<<rows, kThreads, 0, stream>>>(x, y, cols);
}
