// task: row-softmax
// expect: record_error
// reason: host_read_back
// says: host
// Copies the offsets to the host to choose the launch by the widest row.
#include <vector>

__global__ void softmax(const float* x, const int* offsets, float* y, int widest) {}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  std::vector<int> host(rows + 1);
  cudaMemcpyAsync(host.data(), offsets, host.size() * sizeof(int), cudaMemcpyDeviceToHost, stream);
  cudaStreamSynchronize(stream);
  int widest = 0;
  for (int r = 0; r < rows; ++r) widest = max(widest, host[r + 1] - host[r]);
  softmax<<<rows, 128, 0, stream>>>(x, offsets, y, widest);
}
