// task: triplane-pyramid-sample
// expect: wrong_output
// reason: mismatch
// Averages the three planes.
#include <cuda_fp16.h>

__device__ float texel(const __half* plane, int y, int x, int height, int width, int channels,
                       int c) {
  if (y < 0 || y >= height || x < 0 || x >= width) return 0.0f;
  return __half2float(plane[(static_cast<long long>(y) * width + x) * channels + c]);
}

__device__ float position(float g, int size) {
  return fminf(fmaxf((g + 1) / 2 * (size - 1), -2.0f), size + 1.0f);
}

__global__ void sample(const __half* planes, const float* points, const float* centre,
                       const float* half, __half* features, int count, int levels, int height,
                       int width, int channels) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= static_cast<long long>(count) * channels) return;
  const int c = static_cast<int>(i % channels);
  float g[3];
  for (int axis = 0; axis < 3; ++axis)
    g[axis] = (points[i / channels * 3 + axis] - centre[axis]) / half[axis];
  float sum = 0;
  for (int level = 0; level < levels; ++level) {
    const int rows = height << level, columns = width << level;
    for (int k = 0; k < 3; ++k) {
      const float gx = k == 0 ? g[1] : g[0], gy = k == 2 ? g[1] : g[2];
      const float fx = position(gx, columns), fy = position(gy, rows);
      const int x = static_cast<int>(floorf(fx)), y = static_cast<int>(floorf(fy));
      const float wx = fx - x, wy = fy - y;
      sum += (1 - wy) * (1 - wx) * texel(planes, y, x, rows, columns, channels, c);
      sum += (1 - wy) * wx * texel(planes, y, x + 1, rows, columns, channels, c);
      sum += wy * (1 - wx) * texel(planes, y + 1, x, rows, columns, channels, c);
      sum += wy * wx * texel(planes, y + 1, x + 1, rows, columns, channels, c);
      planes += static_cast<long long>(rows) * columns * channels;
    }
  }
  features[i] = __float2half(sum / 3);
}

extern "C" void solve(const __half* planes, const float* points, const float* centre,
                      const float* half, __half* features, int count, int levels, int height,
                      int width, int channels, cudaStream_t stream) {
  const long long elements = static_cast<long long>(count) * channels;
  sample<<<static_cast<unsigned>((elements + 127) / 128), 128, 0, stream>>>(
      planes, points, centre, half, features, count, levels, height, width, channels);
}
