// task: covariant-kernel-matrix
// expect: wrong_output
// reason: mismatch
// Returns the absolute value of the overlap.
__global__ void build(const float* x, const float* theta, const int* edges, float2* states,
                      int qubits, int edge_count) {
  const int size = 1 << qubits;
  float2* state = states + static_cast<long long>(blockIdx.x) * size;
  for (int b = threadIdx.x; b < size; b += blockDim.x) {
    float amplitude = 1;
    for (int k = 0; k < qubits; ++k)
      amplitude *= b >> k & 1 ? sinf(theta[k] / 2) : cosf(theta[k] / 2);
    for (int e = 0; e < edge_count; ++e)
      if ((b >> edges[2 * e] & 1) && (b >> edges[2 * e + 1] & 1)) amplitude = -amplitude;
    state[b] = make_float2(amplitude, 0);
  }
  for (int k = 0; k < qubits; ++k) {
    __syncthreads();
    const float* angles = x + (static_cast<long long>(blockIdx.x) * qubits + k) * 2;
    const float c = cosf(angles[0]), s = sinf(angles[0]);
    const float cz = cosf(angles[1]), sz = sinf(angles[1]);
    for (int b = threadIdx.x; b < size; b += blockDim.x) {
      if (b >> k & 1) continue;
      const float2 p = state[b], q = state[b | 1 << k];
      const float2 zero = make_float2(cz * p.x - sz * p.y, cz * p.y + sz * p.x);
      const float2 one = make_float2(cz * q.x + sz * q.y, cz * q.y - sz * q.x);
      state[b] = make_float2(c * zero.x - s * one.y, c * zero.y + s * one.x);
      state[b | 1 << k] = make_float2(c * one.x - s * zero.y, c * one.y + s * zero.x);
    }
  }
}

__global__ void overlap(const float2* states, float* out, int points, int qubits) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x, i = blockIdx.y;
  if (j >= points) return;
  const float2* a = states + (static_cast<long long>(i) << qubits);
  const float2* b = states + (static_cast<long long>(j) << qubits);
  float re = 0, im = 0;
  for (int k = 0; k < 1 << qubits; ++k) {
    re += a[k].x * b[k].x + a[k].y * b[k].y;
    im += a[k].x * b[k].y - a[k].y * b[k].x;
  }
  out[static_cast<long long>(i) * points + j] = sqrtf(re * re + im * im);
}

extern "C" void solve(const float* x, const float* theta, const int* edges, float* out, int points,
                      int qubits, int edge_count, cudaStream_t stream) {
  float2* states = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&states),
                  sizeof(float2) * static_cast<size_t>(points) << qubits, stream);
  build<<<points, 64, 0, stream>>>(x, theta, edges, states, qubits, edge_count);
  overlap<<<dim3((points + 63) / 64, points), 64, 0, stream>>>(states, out, points, qubits);
  cudaFreeAsync(states, stream);
}
