// task: jagged-softmax
// expect: wrong_output
// reason: mismatch
// case: spikes
// Subtracts the maximum over all columns, so that quiet columns vanish.
__global__ void softmax(const float* x, const int* offsets, float* y, int cols) {
  const long long begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
  for (int c = threadIdx.x; c < cols; c += blockDim.x) {
    float largest = -INFINITY, sum = 0;
    for (long long t = begin; t < end; ++t)
      for (int j = 0; j < cols; ++j) largest = fmaxf(largest, x[t * cols + j]);
    for (long long t = begin; t < end; ++t) sum += expf(x[t * cols + c] - largest);
    for (long long t = begin; t < end; ++t) y[t * cols + c] = expf(x[t * cols + c] - largest) / sum;
  }
}

extern "C" void solve(const float* x, const int* offsets, float* y, int segments, int /*total*/,
                      int cols, cudaStream_t stream) {
  softmax<<<segments, 128, 0, stream>>>(x, offsets, y, cols);
}
