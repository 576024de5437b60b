// task: prefix-sum
// expect: nondeterministic
// reason: repeat_differs
// case: ragged
// Each block adds its sum to a running total and takes what it finds there for the sum of the
// blocks before it: right only where blocks happen to run in their natural order.
__device__ int total;

__global__ void clear() { total = 0; }

__global__ void scan(const int* x, int* y, int n) {
  __shared__ int values[256];
  __shared__ int before;
  const int i = blockIdx.x * 256 + threadIdx.x;
  values[threadIdx.x] = i < n ? x[i] : 0;
  __syncthreads();
  int sum = 0;
  for (int j = 0; j <= threadIdx.x; ++j) sum += values[j];
  if (threadIdx.x == 255) before = atomicAdd(&total, sum);
  __syncthreads();
  if (i < n) y[i] = before + sum;
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  clear<<<1, 1, 0, stream>>>();
  scan<<<(n + 255) / 256, 256, 0, stream>>>(x, y, n);
}
