// task: ternary-absmean-quantise-pack
// expect: wrong_output
// reason: mismatch
// Rounds at gamma instead of gamma / 2.
#include <cuda_bf16.h>

constexpr int kThreads = 256;

__global__ void scale(const __nv_bfloat16* w, float* gamma, long long elements, float eps) {
  __shared__ double sums[kThreads];
  const __nv_bfloat16* shard = w + blockIdx.x * elements;
  double sum = 0;
  for (long long i = threadIdx.x; i < elements; i += kThreads)
    sum += fabsf(__bfloat162float(shard[i]));
  sums[threadIdx.x] = sum;
  __syncthreads();
  for (int step = kThreads / 2; step > 0; step /= 2) {
    if (threadIdx.x < step) sums[threadIdx.x] += sums[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) gamma[blockIdx.x] = static_cast<float>(eps + sums[0] / elements);
}

__global__ void pack(const __nv_bfloat16* w, const float* gamma, unsigned* packed, long long words,
                     long long words_of_shard) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= words) return;
  const float half = gamma[i / words_of_shard];
  unsigned word = 0;
  for (int k = 0; k < 16; ++k) {
    const float weight = __bfloat162float(w[i * 16 + k]);
    const unsigned code = weight > half ? 2 : weight < -half ? 0 : 1;
    word |= code << (2 * k);
  }
  packed[i] = word;
}

extern "C" void solve(const __nv_bfloat16* w, float* gamma, unsigned int* packed, int rows,
                      int cols, int shards, float eps, cudaStream_t stream) {
  const long long words = static_cast<long long>(rows) * (cols / 16);
  scale<<<shards, kThreads, 0, stream>>>(w, gamma, words / shards * 16, eps);
  pack<<<static_cast<unsigned>((words + 255) / 256), 256, 0, stream>>>(w, gamma, packed, words,
                                                                       words / shards);
}
