// Oracle: one thread a row for dx, one thread a column for dw and db, in double.
#include <cuda_bf16.h>

struct Problem {
  const __nv_bfloat16 *dy, *x, *w;
  const float *mean, *rstd;
  int rows, cols;

  __device__ double gradient(int r, int c) const {
    return __bfloat162float(dy[static_cast<long long>(r) * cols + c]);
  }
  __device__ double normal(int r, int c) const {
    const double value = __bfloat162float(x[static_cast<long long>(r) * cols + c]);
    return (value - mean[r]) * rstd[r];
  }
  __device__ double weight(int c) const { return __bfloat162float(w[c]); }
};

__global__ void input_gradient(const Problem p, __nv_bfloat16* dx) {
  const int r = blockIdx.x * blockDim.x + threadIdx.x;
  if (r >= p.rows) return;
  double c1 = 0, c2 = 0;
  for (int c = 0; c < p.cols; ++c) {
    c1 += p.gradient(r, c) * p.weight(c) * p.normal(r, c);
    c2 += p.gradient(r, c) * p.weight(c);
  }
  c1 /= p.cols;
  c2 /= p.cols;
  for (int c = 0; c < p.cols; ++c)
    dx[static_cast<long long>(r) * p.cols + c] =
        __double2bfloat16(p.rstd[r] * (p.gradient(r, c) * p.weight(c) - c2 - p.normal(r, c) * c1));
}

__global__ void parameter_gradients(const Problem p, float* dw, float* db) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= p.cols) return;
  double weight = 0, bias = 0;
  for (int r = 0; r < p.rows; ++r) {
    weight += p.gradient(r, c) * p.normal(r, c);
    bias += p.gradient(r, c);
  }
  dw[c] = static_cast<float>(weight);
  db[c] = static_cast<float>(bias);
}

extern "C" void solve(const __nv_bfloat16* dy, const __nv_bfloat16* x, const __nv_bfloat16* w,
                      const float* mean, const float* rstd, __nv_bfloat16* dx, float* dw, float* db,
                      int rows, int cols, cudaStream_t stream) {
  const Problem p{dy, x, w, mean, rstd, rows, cols};
  input_gradient<<<(rows + 31) / 32, 32, 0, stream>>>(p, dx);
  parameter_gradients<<<(cols + 31) / 32, 32, 0, stream>>>(p, dw, db);
}
