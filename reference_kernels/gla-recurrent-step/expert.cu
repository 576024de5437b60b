// Specialist: a block takes 64 columns of a state; 16 lanes move 16 bytes of a row each, 16 groups
// of lanes take a row at a time, eight rows of a group in flight. Decays, keys and queries of the
// head are prepared in shared memory, and the partial outputs of the groups are joined there, in a
// fixed order. The state is touched once and bypasses the caches.
#include <cuda_bf16.h>

namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 16;  // four columns each
constexpr int kGroups = kThreads / kLanes;
constexpr int kColumns = 4 * kLanes;
constexpr int kInFlight = 8;      // rows
constexpr int kStagedRows = 512;  // keys in shared memory at a time

struct Row {
  float decay, key, query;
};

__global__ void __launch_bounds__(kThreads)
    step(const __nv_bfloat16* __restrict__ q, const __nv_bfloat16* __restrict__ k,
         const __nv_bfloat16* __restrict__ v, const float* __restrict__ g, float* __restrict__ h,
         __nv_bfloat16* __restrict__ o, int keys, int values, float scale) {
  __shared__ Row rows[kStagedRows];
  __shared__ float4 partial[kGroups][kLanes];
  const long long head = blockIdx.y;
  const int lane = threadIdx.x % kLanes, group = threadIdx.x / kLanes;
  const int column = blockIdx.x * kColumns + lane * 4;
  const bool inside = column < values;  // values is a multiple of 4
  float value[4] = {};
  if (inside)
#pragma unroll
    for (int e = 0; e < 4; ++e) value[e] = __bfloat162float(v[head * values + column + e]);

  float4 sum = make_float4(0, 0, 0, 0);
  for (int start = 0; start < keys; start += kStagedRows) {
    const int count = min(kStagedRows, keys - start);
    __syncthreads();
    for (int d = threadIdx.x; d < count; d += kThreads) {
      const long long at = head * keys + start + d;
      rows[d] = Row{__expf(g[at]), __bfloat162float(k[at]), __bfloat162float(q[at])};
    }
    __syncthreads();
    float* state = h + (head * keys + start) * values + column;
    for (int first = group; inside && first < count; first += kGroups * kInFlight) {
      float4 old[kInFlight];
#pragma unroll
      for (int i = 0; i < kInFlight; ++i)
        if (const int d = first + i * kGroups; d < count)
          old[i] =
              __ldcs(reinterpret_cast<const float4*>(state + static_cast<long long>(d) * values));
#pragma unroll
      for (int i = 0; i < kInFlight; ++i) {
        const int d = first + i * kGroups;
        if (d >= count) continue;
        const Row row = rows[d];
        const float4 now = make_float4(fmaf(row.decay, old[i].x, row.key * value[0]),
                                       fmaf(row.decay, old[i].y, row.key * value[1]),
                                       fmaf(row.decay, old[i].z, row.key * value[2]),
                                       fmaf(row.decay, old[i].w, row.key * value[3]));
        __stcs(reinterpret_cast<float4*>(state + static_cast<long long>(d) * values), now);
        sum.x = fmaf(row.query, now.x, sum.x);
        sum.y = fmaf(row.query, now.y, sum.y);
        sum.z = fmaf(row.query, now.z, sum.z);
        sum.w = fmaf(row.query, now.w, sum.w);
      }
    }
  }
  partial[group][lane] = sum;
  __syncthreads();
  if (group != 0 || !inside) return;
  for (int other = 1; other < kGroups; ++other) {
    const float4 part = partial[other][lane];
    sum.x += part.x;
    sum.y += part.y;
    sum.z += part.z;
    sum.w += part.w;
  }
  auto* target = reinterpret_cast<__nv_bfloat162*>(o + head * values + column);
  target[0] = __floats2bfloat162_rn(scale * sum.x, scale * sum.y);
  target[1] = __floats2bfloat162_rn(scale * sum.z, scale * sum.w);
}

}  // namespace

extern "C" void solve(const __nv_bfloat16* q, const __nv_bfloat16* k, const __nv_bfloat16* v,
                      const float* g, float* h, __nv_bfloat16* o, int batch, int heads, int keys,
                      int values, float scale, cudaStream_t stream) {
  constexpr int kMostHeads = 65535;  // of one grid
  for (int done = 0; done < batch * heads; done += kMostHeads) {
    const int now = min(batch * heads - done, kMostHeads);
    const long long keys_done = static_cast<long long>(done) * keys;
    const long long values_done = static_cast<long long>(done) * values;
    step<<<dim3((values + kColumns - 1) / kColumns, now), kThreads, 0, stream>>>(
        q + keys_done, k + keys_done, v + values_done, g + keys_done, h + keys_done * values,
        o + values_done, keys, values, scale);
  }
}
