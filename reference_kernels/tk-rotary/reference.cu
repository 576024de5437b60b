// Oracle: one thread a pair, in double, one rounding.
#include <cuda_bf16.h>

__global__ void rotate(const __nv_bfloat16* x, const __nv_bfloat16* cosines,
                       const __nv_bfloat16* sines, __nv_bfloat16* o, long long pairs, int length,
                       int half) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= pairs) return;
  const long long row = index / half;
  const int i = static_cast<int>(index % half);
  const long long angle = row % length * half + i, first = row * 2 * half + i;
  const double c = __bfloat162float(cosines[angle]), s = __bfloat162float(sines[angle]);
  const double low = __bfloat162float(x[first]), high = __bfloat162float(x[first + half]);
  o[first] = __double2bfloat16(low * c - high * s);
  o[first + half] = __double2bfloat16(high * c + low * s);
}

extern "C" void solve(const __nv_bfloat16* x, const __nv_bfloat16* cosines,
                      const __nv_bfloat16* sines, __nv_bfloat16* o, int batch, int heads,
                      int length, int dim, cudaStream_t stream) {
  const long long pairs = static_cast<long long>(batch) * heads * length * (dim / 2);
  rotate<<<static_cast<unsigned>((pairs + 255) / 256), 256, 0, stream>>>(x, cosines, sines, o,
                                                                         pairs, length, dim / 2);
}
