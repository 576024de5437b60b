// task: entmax-attn-fwd
// expect: wrong_output
// reason: mismatch
// case: ragged-full
// Looks at tokens that do not exist.
#include <cuda_bf16.h>

constexpr int kThreads = 128;
constexpr int kSteps = 30;

__device__ float power(float above, int order) {
  return above <= 0 ? 0 : order == 1 ? above : order == 2 ? above * above : above * above * above;
}

template <typename Join>
__device__ float over_block(float value, Join join) {
  __shared__ float parts[kThreads / 32];
  for (int distance = 16; distance > 0; distance /= 2)
    value = join(value, __shfl_xor_sync(~0u, value, distance));
  __syncthreads();
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = value;
  __syncthreads();
  value = parts[0];
  for (int w = 1; w < kThreads / 32; ++w) value = join(value, parts[w]);
  return value;
}

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                          const int* lengths, __nv_bfloat16* o, float* taus, int heads, int length,
                          int dim, int order, int causal) {
  extern __shared__ float z[];
  const int i = blockIdx.x, thread = threadIdx.x, own = lengths[blockIdx.z];
  const long long first = (static_cast<long long>(blockIdx.z) * heads + blockIdx.y) * length;
  if (i >= own) {
    if (thread < dim) o[(first + i) * dim + thread] = __float2bfloat16(0.0f);
    if (thread == 0) taus[first + i] = 0;
    return;
  }
  const int count = causal ? i + 1 : length;
  const float scale = 1 / (sqrtf(static_cast<float>(dim)) * order);
  float largest = -INFINITY;
  for (int j = thread; j < count; j += kThreads) {
    float sum = 0;
    for (int d = 0; d < dim; ++d)
      sum +=
          __bfloat162float(q[(first + i) * dim + d]) * __bfloat162float(k[(first + j) * dim + d]);
    z[j] = sum * scale;
    largest = fmaxf(largest, z[j]);
  }
  largest = over_block(largest, [](float a, float b) { return fmaxf(a, b); });
  float low = largest - 1, high = largest;
  for (int step = 0; step < kSteps; ++step) {
    const float middle = (low + high) / 2;
    float shares = 0;
    for (int j = thread; j < count; j += kThreads) shares += power(z[j] - middle, order);
    shares = over_block(shares, [](float a, float b) { return a + b; });
    (shares >= 1 ? low : high) = middle;
  }
  if (thread < dim) {
    float sum = 0;
    for (int j = 0; j < count; ++j)
      sum += power(z[j] - low, order) * __bfloat162float(v[(first + j) * dim + thread]);
    o[(first + i) * dim + thread] = __float2bfloat16(sum);
  }
  if (thread == 0) taus[first + i] = low;
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* lengths, __nv_bfloat16* o, float* tau, int batch, int heads,
                      int length, int dim, int order, int causal, cudaStream_t stream) {
  cudaFuncSetAttribute(attention, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(sizeof(float) * length));
  attention<<<dim3(length, heads, batch), kThreads, sizeof(float) * length, stream>>>(
      q, k, v, lengths, o, tau, heads, length, dim, order, causal);
}
