// The weights as they are, and how many decisions do not follow from them: one block a head.
#include <cuda_bf16.h>

constexpr int kThreads = 256;

__global__ void examine(const int* labels, const float* avg, const unsigned char* keep,
                        float* weights, int* contradictions, int clusters, int length,
                        float threshold) {
  __shared__ int parts[kThreads];
  const long long first = static_cast<long long>(blockIdx.x) * clusters;
  for (int c = threadIdx.x; c < clusters; c += kThreads) weights[first + c] = avg[first + c];
  int count = 0;
  for (int l = threadIdx.x; l < length; l += kThreads) {
    const long long at = static_cast<long long>(blockIdx.x) * length + l;
    const int label = labels[at];
    const int want = label == clusters || avg[first + label] > threshold;
    if (keep[at] != want) ++count;
  }
  parts[threadIdx.x] = count;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (int t = 1; t < kThreads; ++t) count += parts[t];
  contradictions[blockIdx.x] = count;
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* centroids, const int* sizes,
                      const int* labels, const float* avg, const unsigned char* keep,
                      float* weights, int* contradictions, int heads, int queries, int dim,
                      int clusters, int length, float threshold, cudaStream_t stream) {
  examine<<<heads, kThreads, 0, stream>>>(labels, avg, keep, weights, contradictions, clusters,
                                          length, threshold);
}
