// Textbook: one block a row, tree reductions in shared memory, three passes over the row.
constexpr int kThreads = 128;

__global__ void softmax(const float* x, const int* offsets, float* y) {
  __shared__ float scratch[kThreads];
  const int thread = threadIdx.x;
  const int begin = offsets[blockIdx.x], end = offsets[blockIdx.x + 1];

  float largest = -INFINITY;
  for (int i = begin + thread; i < end; i += kThreads) largest = fmaxf(largest, x[i]);
  scratch[thread] = largest;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (thread < step) scratch[thread] = fmaxf(scratch[thread], scratch[thread + step]);
    __syncthreads();
  }
  largest = scratch[0];
  __syncthreads();

  float sum = 0;
  for (int i = begin + thread; i < end; i += kThreads) sum += expf(x[i] - largest);
  scratch[thread] = sum;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (thread < step) scratch[thread] += scratch[thread + step];
    __syncthreads();
  }
  sum = scratch[0];

  for (int i = begin + thread; i < end; i += kThreads) y[i] = expf(x[i] - largest) / sum;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int /*nnz*/,
                      cudaStream_t stream) {
  softmax<<<rows, kThreads, 0, stream>>>(x, offsets, y);
}
