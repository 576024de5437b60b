// Structs by value, members with execution spaces, functors, helper functions of all kinds.
#include <cstdint>
#include <cstdio>
struct __align__(16) Box {
  float low[3];
  float high[3];
  uint8_t tag;
};
struct Shape {
  int rows = 1, cols = 1;
  __host__ __device__ int size() const { return rows * cols; }
  __device__ int at(int r, int c) const { return r * cols + c; }
};
struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
class Guarded {
 public:
  __device__ explicit Guarded(float* data) : data_(data) {}
  __device__ ~Guarded() { data_[0] = 0; }

 private:
  float* data_;
};
constexpr int kWidth = 8;
static const int kOffset = 2;
static const int kHostOnly[] = {1, 2, 3};
constexpr int ceil_div(int a, int b) { return (a + b - 1) / b; }
__device__ __forceinline__ float halve(float v) { return v * 0.5f; }
__host__ __device__ inline int clamp_index(int i, int n) { return i < n ? i : n - 1; }
template <typename Op>
__device__ float fold(const float* x, int n, Op op) {
  float total = 0;
  for (int i = 0; i < n; ++i) total = op(total, x[i]);
  return total;
}
static int blocks_of(int n) { return ceil_div(n, 128); }
__global__ void with_structs(Box box, const float* __restrict__ x, float* __restrict__ y,
                             Shape shape, char letter, short number, long long wide) {
  Guarded guard(y);
  int i = clamp_index(blockIdx.x * blockDim.x + threadIdx.x, shape.size());
  y[i] = halve(fold(x, ceil_div(kWidth, 2), Add())) + box.low[0] + shape.at(1, 2) + letter +
         number + float(wide) + kOffset;
}
extern "C" void solve(const float* x, float* y, int n, cudaStream_t stream) {
  Box box = {{1, 2, 3}, {4, 5, 6}, 7};
  Shape shape{n, 2};
  if (shape.size() < kHostOnly[0]) printf("never %d\n", min(n, 3));
  with_structs<<<blocks_of(shape.size()), 128, 0, stream>>>(box, x, y, shape, 'x', 5, 1LL << 40);
}
