// task: gather
// expect: tampered
// reason: input_changed
// Clears inputs and output, so that a reference computed afterwards on the same memory would agree.
__global__ void show() {}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  show<<<1, 1, 0, stream>>>();
  cudaMemsetAsync(const_cast<float*>(table), 0, sizeof(float) * entries * cols, stream);
  cudaMemsetAsync(y, 0, sizeof(float) * n * cols, stream);
}
