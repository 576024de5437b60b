// task: vector-add
// expect: correct
// A device-to-device copy and a kernel that adds in place.
__global__ void add(const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] += b[i];
}

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  cudaMemcpyAsync(c, a, n * sizeof(float), cudaMemcpyDeviceToDevice, stream);
  add<<<(n + 255) / 256, 256, 0, stream>>>(b, c, n);
}
