// task: matmul
// expect: rejected
// reason: include
// says: cublas
// A library is not among the headers that a candidate may use.
#include <cublas_v2.h>
extern "C" void solve(const __half* a, const __half* b, __half* c, int m, int n, int k,
                      cudaStream_t stream) {
  cublasHandle_t handle;
  cublasCreate(&handle);
}
