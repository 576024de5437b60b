// task: row-softmax
// expect: nondeterministic
// reason: shared_race
// case: small
// cuda: wrong_output mismatch | nondeterministic repeat_differs
// The tree reduction lacks the barrier between its steps.
__global__ void softmax(const float* x, const int* offsets, float* y) {
  __shared__ float scratch[128];
  const int thread = threadIdx.x, begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];
  float sum = 0;
  for (int i = begin + thread; i < end; i += 128) sum += expf(x[i]);
  scratch[thread] = sum;
  __syncthreads();
  for (int step = 64; step > 0; step /= 2)
    if (thread < step) scratch[thread] += scratch[thread + step];
  __syncthreads();
  for (int i = begin + thread; i < end; i += 128) y[i] = expf(x[i]) / scratch[0];
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<rows, 128, 0, stream>>>(x, offsets, y);
}
