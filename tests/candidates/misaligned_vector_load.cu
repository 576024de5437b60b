// task: gather
// expect: runtime_fault
// reason: misaligned_address
// case: ragged
// 16-byte loads of rows whose width is no multiple of 4.
__global__ void gather(const float* table, const long long* index, float* y, int cols) {
  const long long source = index[blockIdx.x];
  const float4* from = reinterpret_cast<const float4*>(table + source * cols);
  float4* to = reinterpret_cast<float4*>(y + blockIdx.x * static_cast<long long>(cols));
  for (int c = threadIdx.x; c < cols / 4; c += blockDim.x) to[c] = from[c];
  for (int c = cols / 4 * 4 + threadIdx.x; c < cols; c += blockDim.x)
    y[blockIdx.x * static_cast<long long>(cols) + c] = table[source * cols + c];
}

extern "C" void solve(const float* table, const long long* index, float* y, int entries, int cols,
                      int n, cudaStream_t stream) {
  gather<<<n, 128, 0, stream>>>(table, index, y, cols);
}
