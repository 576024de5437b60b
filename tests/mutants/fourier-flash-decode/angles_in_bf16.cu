// task: fourier-flash-decode
// expect: wrong_output
// reason: mismatch
// case: sharp
// Cosines and sines are rounded to bf16.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

constexpr int kPerLane = 4;  // elements of a head; dim is at most 128

/// Keys or values.
struct Cache {
  const __half* full;
  const int *dims, *offsets;
  const float* coef;
  const __half* kept;
  const float *mean, *offset, *scale;
  int count;
  float* middle;  // scratch: [batch][middle][kv_heads][dim]
};

struct Sizes {
  int heads, kv_heads, dim, full, middle, orders, window;
};

__global__ void expand(const Cache w, const Sizes s) {
  const int i = threadIdx.x, g = blockIdx.x, t = blockIdx.y, b = blockIdx.z;
  const int compressed = w.offsets[g + 1] - w.offsets[g];
  const long long token = static_cast<long long>(b) * s.middle + t;
  float value = 0;
  if (i < compressed) {
    const int p = w.offsets[g] + i;
    const float* coef = w.coef + static_cast<long long>(b) * 2 * s.orders * w.count + p;
    for (int n = 0; n < s.orders; ++n) {
      const long long phase = static_cast<long long>(n) * t % s.window;
      float sine, cosine;
      sincospif(float(2 * phase) / s.window, &sine, &cosine);
      sine = __bfloat162float(__float2bfloat16(sine));
      cosine = __bfloat162float(__float2bfloat16(cosine));
      value += coef[static_cast<long long>(n) * w.count] * cosine +
               coef[static_cast<long long>(s.orders + n) * w.count] * sine;
    }
    const int at = b * w.count + p;
    value = (value / s.orders - w.offset[at]) * w.scale[at] + w.mean[at];
  } else {
    const int columns = s.kv_heads * s.dim - w.count;
    const int column = g * s.dim - w.offsets[g] + i - compressed;
    value = __half2float(w.kept[token * columns + column]);
  }
  w.middle[(token * s.kv_heads + g) * s.dim + w.dims[g * s.dim + i]] = value;
}

/// Element d of token j: full tokens first.
__device__ float element(const Cache& w, const Sizes& s, int b, int g, int j, int d) {
  if (j < s.full)
    return __half2float(
        w.full[((static_cast<long long>(b) * s.full + j) * s.kv_heads + g) * s.dim + d]);
  const long long token = static_cast<long long>(b) * s.middle + j - s.full;
  return w.middle[(token * s.kv_heads + g) * s.dim + d];
}

__global__ void attend(const __half* queries, const Cache k, const Cache v, float* o,
                       const Sizes s) {
  const int h = blockIdx.x, b = blockIdx.y, lane = threadIdx.x;
  const int g = h / (s.heads / s.kv_heads);
  const long long row = (static_cast<long long>(b) * s.heads + h) * s.dim;
  const float scale = 1 / sqrtf(static_cast<float>(s.dim));
  float query[kPerLane] = {}, output[kPerLane] = {}, largest = -INFINITY, weights = 0;
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < s.dim) query[e] = __half2float(queries[row + lane + 32 * e]);
  for (int j = 0; j < s.full + s.middle; ++j) {
    float score = 0;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < s.dim) score += query[e] * element(k, s, b, g, j, lane + 32 * e);
    for (int distance = 16; distance > 0; distance /= 2)
      score += __shfl_xor_sync(~0u, score, distance);
    score *= scale;
    const float now = fmaxf(largest, score);
    const float shrink = expf(largest - now), weight = expf(score - now);
    largest = now;
    weights = weights * shrink + weight;
    for (int e = 0; e < kPerLane; ++e)
      if (lane + 32 * e < s.dim)
        output[e] = output[e] * shrink + weight * element(v, s, b, g, j, lane + 32 * e);
  }
  for (int e = 0; e < kPerLane; ++e)
    if (lane + 32 * e < s.dim) o[row + lane + 32 * e] = output[e] / weights;
}

extern "C" void solve(const __half* q, const __half* k_full, const __half* v_full,
                      const int* k_dims, const int* v_dims, const int* k_offsets,
                      const int* v_offsets, const float* k_coef, const float* v_coef,
                      const __half* k_kept, const __half* v_kept, const float* k_mean,
                      const float* k_offset, const float* k_scale, const float* v_mean,
                      const float* v_offset, const float* v_scale, float* o, int batch, int heads,
                      int kv_heads, int dim, int full, int middle, int orders, int window,
                      int k_count, int v_count, cudaStream_t stream) {
  const Sizes s{heads, kv_heads, dim, full, middle, orders, window};
  Cache k{k_full, k_dims, k_offsets, k_coef, k_kept, k_mean, k_offset, k_scale, k_count, nullptr};
  Cache v{v_full, v_dims, v_offsets, v_coef, v_kept, v_mean, v_offset, v_scale, v_count, nullptr};
  for (Cache* w : {&k, &v}) {
    if (middle == 0) break;
    cudaMallocAsync(reinterpret_cast<void**>(&w->middle),
                    sizeof(float) * batch * middle * kv_heads * dim, stream);
    expand<<<dim3(kv_heads, middle, batch), dim, 0, stream>>>(*w, s);
  }
  attend<<<dim3(heads, batch), 32, 0, stream>>>(q, k, v, o, s);
  for (const Cache* w : {&k, &v})
    if (middle > 0) cudaFreeAsync(w->middle, stream);
}
