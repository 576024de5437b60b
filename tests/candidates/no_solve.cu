// task: vector-add
// expect: compile_error
// reason: no_solve
// says: solve
// A kernel, but nothing that launches it.
__global__ void add(const float* a, const float* b, float* c, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
