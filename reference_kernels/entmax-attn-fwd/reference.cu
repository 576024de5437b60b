// Oracle: one block a query, in double: all its z in shared memory, Newton's iteration from below
// until tau stands still, then the sum of values.
#include <cuda_bf16.h>

constexpr int kThreads = 128;

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                          const int* lengths, __nv_bfloat16* o, float* taus, int heads, int length,
                          int dim, int order, int causal) {
  extern __shared__ double z[];
  __shared__ double tau;
  const int i = blockIdx.x, thread = threadIdx.x;
  const long long first = (static_cast<long long>(blockIdx.z) * heads + blockIdx.y) * length;
  const int own = lengths[blockIdx.z], count = i >= own ? 0 : causal ? i + 1 : own;
  for (int j = thread; j < count; j += kThreads) {
    double sum = 0;
    for (int d = 0; d < dim; ++d)
      sum += static_cast<double>(__bfloat162float(q[(first + i) * dim + d])) *
             __bfloat162float(k[(first + j) * dim + d]);
    z[j] = sum / (sqrt(static_cast<double>(dim)) * order);
  }
  __syncthreads();
  if (thread == 0) {
    double largest = -INFINITY;
    for (int j = 0; j < count; ++j) largest = fmax(largest, z[j]);
    tau = count == 0 ? 0 : largest - 1;
    for (int step = 0; step < 200 && count > 0; ++step) {
      double shares = -1, slope = 0;
      for (int j = 0; j < count; ++j)
        if (z[j] > tau) {
          const double above = z[j] - tau;
          shares += order == 1 ? above : order == 2 ? above * above : above * above * above;
          slope += order == 1 ? 1 : order == 2 ? 2 * above : 3 * above * above;
        }
      if (shares <= 1e-14) break;
      tau += shares / slope;
    }
    taus[first + i] = static_cast<float>(tau);
  }
  __syncthreads();
  if (thread >= dim) return;
  double sum = 0;
  for (int j = 0; j < count; ++j)
    if (z[j] > tau) {
      const double above = z[j] - tau;
      sum += (order == 1   ? above
              : order == 2 ? above * above
                           : above * above * above) *
             __bfloat162float(v[(first + j) * dim + thread]);
    }
  o[(first + i) * dim + thread] = __double2bfloat16(sum);
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const int* lengths, __nv_bfloat16* o, float* tau, int batch, int heads,
                      int length, int dim, int order, int causal, cudaStream_t stream) {
  cudaFuncSetAttribute(attention, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(sizeof(double) * length));
  attention<<<dim3(length, heads, batch), kThreads, sizeof(double) * length, stream>>>(
      q, k, v, lengths, o, tau, heads, length, dim, order, causal);
}
