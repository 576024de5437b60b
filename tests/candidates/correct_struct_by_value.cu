// task: rmsnorm
// expect: correct
// A template kernel that takes all its arguments, pointers among them, in one structure.
#include <cuda_bf16.h>

template <typename Element>
struct Arguments {
  char tag;
  struct {
    const Element* x;
    const Element* weight;
  } inputs;
  Element* outputs[1];
  float eps;
  int cols;
};

template <typename Element, int kThreads>
__global__ void rmsnorm(const Arguments<Element> arguments) {
  __shared__ float sums[kThreads];
  const Element* x = arguments.inputs.x + static_cast<long long>(blockIdx.x) * arguments.cols;
  Element* y = arguments.outputs[0] + static_cast<long long>(blockIdx.x) * arguments.cols;
  float sum = 0;
  for (int c = threadIdx.x; c < arguments.cols; c += kThreads) sum += float(x[c]) * float(x[c]);
  sums[threadIdx.x] = sum;
  __syncthreads();
  sum = 0;
  for (const float part : sums) sum += part;
  const float scale = rsqrtf(sum / arguments.cols + arguments.eps);
  for (int c = threadIdx.x; c < arguments.cols; c += kThreads)
    y[c] = Element(float(x[c]) * scale * float(arguments.inputs.weight[c]));
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  const Arguments<__nv_bfloat16> arguments{'r', {x, weight}, {y}, eps, cols};
  rmsnorm<__nv_bfloat16, 64><<<rows, 64, 0, stream>>>(arguments);
}
