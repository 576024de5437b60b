// task: row-softmax
// expect: compile_error
// reason: wrong_signature
// Leaves out the last scalar.
__global__ void softmax(const float* x, const int* offsets, float* y) {}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, cudaStream_t stream) {
  softmax<<<rows, 32, 0, stream>>>(x, offsets, y);
}
