// task: topk-rows
// expect: wrong_output
// reason: mismatch
// case: ragged-ties
// Returns each value once.
constexpr int kThreads = 128;

__device__ bool precedes(float a, int a_column, float b, int b_column) {
  return a > b || (a == b && a_column < b_column);
}

__global__ void topk(const float* x, float* values, int* indices, int cols, int k) {
  __shared__ float best_value[kThreads];
  __shared__ int best_column[kThreads];
  const long long row = blockIdx.x;
  x += row * cols;
  float last_value = INFINITY;
  int last_column = -1;
  for (int i = 0; i < k; ++i) {
    float value = -INFINITY;
    int column = cols;  // after all others
    for (int c = threadIdx.x; c < cols; c += kThreads)
      if (x[c] < last_value && precedes(x[c], c, value, column)) {
        value = x[c];
        column = c;
      }
    best_value[threadIdx.x] = value;
    best_column[threadIdx.x] = column;
    __syncthreads();
    for (int step = kThreads / 2; step > 0; step /= 2) {
      const int other = threadIdx.x + step;
      if (threadIdx.x < step && precedes(best_value[other], best_column[other],
                                         best_value[threadIdx.x], best_column[threadIdx.x])) {
        best_value[threadIdx.x] = best_value[other];
        best_column[threadIdx.x] = best_column[other];
      }
      __syncthreads();
    }
    last_value = best_value[0];
    last_column = best_column[0];
    if (threadIdx.x == 0) {
      values[row * k + i] = last_value;
      indices[row * k + i] = last_column;
    }
    __syncthreads();
  }
}

extern "C" void solve(const float* x, float* values, int* indices, int rows, int cols, int k,
                      cudaStream_t stream) {
  topk<<<rows, kThreads, 0, stream>>>(x, values, indices, cols, k);
}
