// Specialist: a block takes a row, reads it once with 16-byte loads and keeps it in registers until
// the sum is known; the weights are fetched meanwhile. Rows of odd widths start anywhere: the
// vectors begin at the first aligned element, and the up to 7 elements before and after them go one
// by one to threads of their own. Such vectors meet weights that are not aligned; those are cut out
// of two aligned vectors.
#include <cuda_bf16.h>

namespace {

constexpr int kLane = 8;  // bf16 values in a 16-byte vector

struct alignas(16) Vector {
  unsigned words[kLane / 2];  // two values each
};

__device__ float2 values(unsigned word) {
  return make_float2(__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u));
}
__device__ unsigned rounded(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const unsigned*>(&pair);
}

__device__ float sum_of_squares(const Vector& vector) {
  float sum = 0;
#pragma unroll
  for (const unsigned word : vector.words) {
    const float2 pair = values(word);
    sum += pair.x * pair.x + pair.y * pair.y;
  }
  return sum;
}

__device__ Vector product(const Vector& x, const Vector& weights, float scale) {
  Vector result;
#pragma unroll
  for (int i = 0; i < kLane / 2; ++i) {
    const float2 a = values(x.words[i]), w = values(weights.words[i]);
    result.words[i] = rounded(a.x * scale * w.x, a.y * scale * w.y);
  }
  return result;
}

/// The weights of columns column .. column + 7, all inside the row; column % 8 is `shift`, the same
/// for the whole block.
__device__ Vector load_weights(const __nv_bfloat16* __restrict__ weight, int column, int shift,
                               int cols) {
  const Vector* aligned = reinterpret_cast<const Vector*>(weight + (column - shift));
  if (shift == 0) return aligned[0];
  Vector result;
  if (column - shift + 2 * kLane > cols) {  // the second vector would reach past the end
#pragma unroll
    for (int i = 0; i < kLane / 2; ++i)
      result.words[i] = __bfloat16_as_ushort(weight[column + 2 * i]) |
                        static_cast<unsigned>(__bfloat16_as_ushort(weight[column + 2 * i + 1]))
                            << 16;
    return result;
  }
  const Vector low = aligned[0], high = aligned[1];
  unsigned words[8];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    words[i] = low.words[i];
    words[i + 4] = high.words[i];
  }
#pragma unroll
  for (int i = 0; i < 6; ++i) words[i] = shift & 4 ? words[i + 2] : words[i];
#pragma unroll
  for (int i = 0; i < 5; ++i) words[i] = shift & 2 ? words[i + 1] : words[i];
#pragma unroll
  for (int i = 0; i < 4; ++i)
    result.words[i] = __funnelshift_r(words[i], words[i + 1], shift & 1 ? 16 : 0);
  return result;
}

template <int kThreads>
__device__ float block_sum(float value) {
  __shared__ float of_warp[kThreads / 32];
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    value += __shfl_xor_sync(~0u, value, distance);
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / 32; ++warp) sum += of_warp[warp];
  return sum;
}

/// kVectors: vectors of the row that a thread keeps; what goes beyond is read again.
template <int kThreads, int kVectors>
__global__ void __launch_bounds__(kThreads)
    rmsnorm(const __nv_bfloat16* __restrict__ x, const __nv_bfloat16* __restrict__ weight,
            __nv_bfloat16* __restrict__ y, int cols, float eps) {
  const int thread = threadIdx.x;
  const long long start = static_cast<long long>(blockIdx.x) * cols;
  x += start;
  y += start;
  const int head = min(cols, static_cast<int>(-start & (kLane - 1)));
  const int vectors = (cols - head) / kLane;
  const int tail = cols - head - vectors * kLane;
  const Vector* x_vectors = reinterpret_cast<const Vector*>(x + head);
  Vector* y_vectors = reinterpret_cast<Vector*>(y + head);

  // The column outside all vectors that belongs to this thread, if any: head, then tail.
  const int edge = thread < head ? thread : thread < head + tail ? cols - head - tail + thread : -1;
  const float edge_value = edge >= 0 ? __bfloat162float(x[edge]) : 0.0f;

  Vector kept[kVectors], weights[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
    if (const int i = thread + v * kThreads; i < vectors) kept[v] = x_vectors[i];
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
    if (const int i = thread + v * kThreads; i < vectors)
      weights[v] = load_weights(weight, head + kLane * i, head, cols);

  float sum = edge_value * edge_value;
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
    if (thread + v * kThreads < vectors) sum += sum_of_squares(kept[v]);
  for (int i = thread + kVectors * kThreads; i < vectors; i += kThreads)
    sum += sum_of_squares(x_vectors[i]);
  const float scale = rsqrtf(block_sum<kThreads>(sum) / cols + eps);

#pragma unroll
  for (int v = 0; v < kVectors; ++v)
    if (const int i = thread + v * kThreads; i < vectors)
      y_vectors[i] = product(kept[v], weights[v], scale);
  for (int i = thread + kVectors * kThreads; i < vectors; i += kThreads)
    y_vectors[i] = product(x_vectors[i], load_weights(weight, head + kLane * i, head, cols), scale);
  if (edge >= 0) y[edge] = __float2bfloat16(edge_value * scale * __bfloat162float(weight[edge]));
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* weight, __nv_bfloat16* y,
                      int rows, int cols, float eps, cudaStream_t stream) {
  if (cols <= 64 * kLane)
    rmsnorm<64, 1><<<rows, 64, 0, stream>>>(x, weight, y, cols, eps);
  else if (cols <= 4 * 128 * kLane)
    rmsnorm<128, 4><<<rows, 128, 0, stream>>>(x, weight, y, cols, eps);
  else
    rmsnorm<256, 4><<<rows, 256, 0, stream>>>(x, weight, y, cols, eps);
}
