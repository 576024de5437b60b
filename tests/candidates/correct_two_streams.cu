// task: vector-add
// expect: correct
// Each half on a stream of its own, tied to the given one by events.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  cudaStream_t sides[2];
  cudaEvent_t start, done;
  cudaEventCreateWithFlags(&start, cudaEventDisableTiming);
  cudaEventRecord(start, stream);
  const int half = n / 2;
  for (int s = 0; s < 2; ++s) {
    const int first = s * half, count = s == 0 ? half : n - half;
    cudaStreamCreateWithFlags(&sides[s], cudaStreamNonBlocking);
    cudaStreamWaitEvent(sides[s], start, 0);
    if (count > 0)
      add<<<(count + 255) / 256, 256, 0, sides[s]>>>(a + first, b + first, c + first, count);
    cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    cudaEventRecord(done, sides[s]);
    cudaStreamWaitEvent(stream, done, 0);
    cudaEventDestroy(done);
    cudaStreamDestroy(sides[s]);
  }
  cudaEventDestroy(start);
}
