// task: cross-entropy-fused
// expect: wrong_output
// reason: mismatch
// Divides by the number of rows instead of multiplying by inv_n.
#include <cuda_bf16.h>

constexpr int kThreads = 256;

template <typename Operation>
__device__ float over_block(float value, Operation operation) {
  __shared__ float scratch[kThreads];
  __syncthreads();
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step)
      scratch[threadIdx.x] = operation(scratch[threadIdx.x], scratch[threadIdx.x + step]);
    __syncthreads();
  }
  return scratch[0];
}

struct Maximum {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

__global__ void cross_entropy(__nv_bfloat16* logits, const int* target, float* losses, float* lses,
                              int classes, float smooth, float zcoef, float inv_n) {
  __nv_bfloat16* x = logits + static_cast<long long>(blockIdx.x) * classes;
  const int label = target[blockIdx.x];

  float largest = -INFINITY;
  for (int v = threadIdx.x; v < classes; v += kThreads)
    largest = fmaxf(largest, __bfloat162float(x[v]));
  largest = over_block(largest, Maximum());

  float sum = 0, total = 0;
  for (int v = threadIdx.x; v < classes; v += kThreads) {
    sum += expf(__bfloat162float(x[v]) - largest);
    total += __bfloat162float(x[v]);
  }
  sum = over_block(sum, Sum());
  total = over_block(total, Sum());
  const float lse = largest + logf(sum);
  const bool ignored = label == -100;

  if (threadIdx.x == 0) {
    lses[blockIdx.x] = lse;
    float loss = 0;
    if (!ignored)
      loss = (1 - smooth) * (lse - __bfloat162float(x[label])) + smooth * (lse - total / classes) +
             zcoef * lse * lse;
    losses[blockIdx.x] = loss / gridDim.x;
  }
  __syncthreads();  // the target's logit has been read
  for (int v = threadIdx.x; v < classes; v += kThreads) {
    float gradient = expf(__bfloat162float(x[v]) - largest) / sum * (1 + 2 * zcoef * lse);
    gradient -= smooth / classes;
    if (v == label) gradient -= 1 - smooth;
    x[v] = __float2bfloat16(ignored ? 0.0f : gradient / gridDim.x);
  }
}

extern "C" void solve(__nv_bfloat16* logits, const int* target, float* loss, float* lse, int rows,
                      int classes, float smooth, float zcoef, float inv_n, cudaStream_t stream) {
  cross_entropy<<<rows, kThreads, 0, stream>>>(logits, target, loss, lse, classes, smooth, zcoef,
                                               inv_n);
}
