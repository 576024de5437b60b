// Specialist: a group of lanes, no more than a row has vectors, takes two rows at once, so that two
// look-ups and their rows are in flight together and narrow rows leave no lane idle. Rows are
// moved 16 bytes a lane where their width allows it, else 4. y is written past the cache, which is
// left to rows of the table that are used again.
namespace {

constexpr int kThreads = 256;
constexpr int kRows = 2;  // per group of lanes

/// `lanes`: a power of two up to 32. `width`: of a row, in Vectors.
template <typename Vector>
__global__ void __launch_bounds__(kThreads)
    gather(const Vector* __restrict__ table, const long long* __restrict__ index,
           Vector* __restrict__ y, int width, int n, int lanes) {
  const int groups = kThreads / lanes;
  const int lane = threadIdx.x % lanes;
  const long long first =
      static_cast<long long>(blockIdx.x) * (groups * kRows) + threadIdx.x / lanes;

  long long source[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    source[r] = first + r * groups < n ? __ldg(index + first + r * groups) : -1;

  for (int c = lane; c < width; c += lanes) {
    Vector values[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      values[r] = source[r] >= 0 ? __ldg(table + source[r] * width + c) : Vector{};
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      if (const long long target = first + r * groups; target < n)
        __stcs(y + target * width + c, values[r]);
  }
}

template <typename Vector>
void launch(const float* table, const long long* index, float* y, int width, int n,
            cudaStream_t stream) {
  int lanes = 1;
  while (lanes < 32 && lanes < width) lanes *= 2;
  const int rows_per_block = kThreads / lanes * kRows;
  gather<<<(n - 1) / rows_per_block + 1, kThreads, 0, stream>>>(
      reinterpret_cast<const Vector*>(table), index, reinterpret_cast<Vector*>(y), width, n, lanes);
}

}  // namespace

extern "C" void solve(const float* table, const long long* index, float* y, int /*entries*/,
                      int cols, int n, cudaStream_t stream) {
  if (cols % 4 == 0)
    launch<float4>(table, index, y, cols / 4, n, stream);
  else
    launch<float>(table, index, y, cols, n, stream);
}
