// Specialist: 64 x 64 tiles through shared memory, so that rows of x are read and rows of y are
// written in whole 128-byte lines. A row of the tile is one element longer than the tile: a column
// then lies in different banks. Each thread has 16 loads in flight. Tiles cover y including its
// padding; what lies outside x is read as 0, which clears the padding on the way.
namespace {

constexpr int kTile = 64;
constexpr int kRows = 8;  // rows that the block moves at once: 8 warps of 32 lanes, twice across

__global__ void __launch_bounds__(32 * kRows)
    transpose(const float* __restrict__ x, float* __restrict__ y, int rows, int cols, int ld) {
  __shared__ float tile[kTile][kTile + 1];
  const int column0 = blockIdx.x * kTile, row0 = blockIdx.y * kTile;

#pragma unroll
  for (int r = 0; r < kTile; r += kRows)
#pragma unroll
    for (int c = 0; c < kTile; c += 32) {
      const int row = row0 + r + threadIdx.y, column = column0 + c + threadIdx.x;
      tile[r + threadIdx.y][c + threadIdx.x] =
          row < rows && column < cols ? __ldcs(x + static_cast<long long>(row) * cols + column)
                                      : 0.0f;
    }
  __syncthreads();
#pragma unroll
  for (int c = 0; c < kTile; c += kRows)
#pragma unroll
    for (int r = 0; r < kTile; r += 32) {
      const int column = column0 + c + threadIdx.y, row = row0 + r + threadIdx.x;
      if (column < cols && row < ld)
        __stcs(y + static_cast<long long>(column) * ld + row,
               tile[r + threadIdx.x][c + threadIdx.y]);
    }
}

}  // namespace

extern "C" void solve(const float* x, float* y, int rows, int cols, int ld, cudaStream_t stream) {
  const dim3 grid((cols + kTile - 1) / kTile, (ld + kTile - 1) / kTile);
  transpose<<<grid, dim3(32, kRows), 0, stream>>>(x, y, rows, cols, ld);
}
