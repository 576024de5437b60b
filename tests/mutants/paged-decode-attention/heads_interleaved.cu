// task: paged-decode-attention
// expect: wrong_output
// reason: mismatch
// case: ragged
// Maps query head h to key head h modulo the number of key heads.
#include <cuda_bf16.h>

constexpr int kWarps = 4;
constexpr int kMostPerLane = 4;  // elements of a head; dim is at most 128

__global__ void attention(const __nv_bfloat16* q, const __nv_bfloat16* keys,
                          const __nv_bfloat16* values, const int* table, const int* lengths,
                          __nv_bfloat16* o, int heads, int kv_heads, int dim, int page,
                          int most_pages, float scale) {
  __shared__ float maxima[kWarps], sums[kWarps], outputs[kWarps][128];
  const int h = blockIdx.x, b = blockIdx.y;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const long long query = (static_cast<long long>(b) * heads + h) * dim;
  float largest = -INFINITY, sum = 0, output[kMostPerLane] = {};
  for (int t = warp; t < lengths[b]; t += kWarps) {
    const long long at = table[b * most_pages + t / page];
    const long long row = ((at * page + t % page) * kv_heads + h % kv_heads) * dim;
    float score = 0;
    for (int d = lane; d < dim; d += 32)
      score += __bfloat162float(q[query + d]) * __bfloat162float(keys[row + d]);
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(~0u, score, distance);
    score *= scale;
    const float now = fmaxf(largest, score);
    const float shrink = expf(largest - now), weight = expf(score - now);
    largest = now;
    sum = sum * shrink + weight;
    for (int i = 0; i < kMostPerLane; ++i)
      if (const int d = lane + 32 * i; d < dim)
        output[i] = output[i] * shrink + weight * __bfloat162float(values[row + d]);
  }
  if (lane == 0) {
    maxima[warp] = largest;
    sums[warp] = sum;
  }
  for (int i = 0; i < kMostPerLane; ++i) outputs[warp][lane + 32 * i] = output[i];
  __syncthreads();
  float overall = -INFINITY, total = 0;
  for (int w = 0; w < kWarps; ++w) overall = fmaxf(overall, maxima[w]);
  for (int w = 0; w < kWarps; ++w)
    total += maxima[w] == -INFINITY ? 0.0f : sums[w] * expf(maxima[w] - overall);
  for (int d = threadIdx.x; d < dim; d += blockDim.x) {
    float value = 0;
    for (int w = 0; w < kWarps; ++w)
      value += maxima[w] == -INFINITY ? 0.0f : outputs[w][d] * expf(maxima[w] - overall);
    o[query + d] = __float2bfloat16(total > 0 ? value / total : 0.0f);
  }
}

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* keys,
                      const __nv_bfloat16* values, const int* table, const int* lengths,
                      __nv_bfloat16* o, int batch, int heads, int kv_heads, int dim, int page,
                      int most_pages, float scale, cudaStream_t stream) {
  attention<<<dim3(heads, batch), 32 * kWarps, 0, stream>>>(
      q, keys, values, table, lengths, o, heads, kv_heads, dim, page, most_pages, scale);
}
