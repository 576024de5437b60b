// task: matmul
// expect: compile_error
// reason: link
// says: cublasCreate_v2
// Declares the function of a library itself; nothing defines it.
#include <cuda_fp16.h>

extern "C" int cublasCreate_v2(void** handle);
__global__ void nothing() {}

extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  void* handle = nullptr;
  cublasCreate_v2(&handle);
  nothing<<<1, 1, 0, stream>>>();
}
