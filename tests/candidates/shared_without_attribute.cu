// task: row-softmax
// expect: launch_error
// reason: launch_limits
// 64 KiB of dynamic shared memory without asking for it by cudaFuncSetAttribute.
__global__ void softmax(const float* x, const int* offsets, float* y) {
  extern __shared__ float row[];
  row[threadIdx.x] = 0;
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<rows, 128, 64 << 10, stream>>>(x, offsets, y);
}
