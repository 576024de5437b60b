// Specialist: 16-byte accesses, several loads in flight per thread, and cache hints that say that
// nothing is read twice. The few elements after the last whole float4 go to the first threads.
namespace {

constexpr int kThreads = 256;
constexpr int kVectors = 2;  // float4 per thread and input

__device__ float4 sum(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

__global__ void __launch_bounds__(kThreads)
    add(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ c, int n) {
  const int vectors = n / 4;
  const long long first = static_cast<long long>(blockIdx.x) * (kThreads * kVectors) + threadIdx.x;
  const float4* a4 = reinterpret_cast<const float4*>(a);
  const float4* b4 = reinterpret_cast<const float4*>(b);
  float4* c4 = reinterpret_cast<float4*>(c);

  float4 left[kVectors], right[kVectors];
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
    if (const long long i = first + v * kThreads; i < vectors) {
      left[v] = __ldcs(a4 + i);
      right[v] = __ldcs(b4 + i);
    }
  }
#pragma unroll
  for (int v = 0; v < kVectors; ++v)
    if (const long long i = first + v * kThreads; i < vectors)
      __stcs(c4 + i, sum(left[v], right[v]));

  if (const int i = 4 * vectors + threadIdx.x; blockIdx.x == 0 && i < n) c[i] = a[i] + b[i];
}

}  // namespace

extern "C" void solve(const float* a, const float* b, float* c, int n, cudaStream_t stream) {
  constexpr int kPerBlock = 4 * kThreads * kVectors;
  add<<<(n - 1) / kPerBlock + 1, kThreads, 0, stream>>>(a, b, c, n);
}
