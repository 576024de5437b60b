// Oracle: one block a point builds its state in scratch, qubit by qubit; one thread an entry;
// double.
struct Complex {
  double re, im;
};
__device__ Complex times(Complex a, Complex b) {
  return Complex{a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
__device__ Complex plus(Complex a, Complex b) { return Complex{a.re + b.re, a.im + b.im}; }

__global__ void build(const float* x, const float* theta, const int* edges, Complex* states,
                      int qubits, int edge_count) {
  const int size = 1 << qubits;
  Complex* state = states + static_cast<long long>(blockIdx.x) * size;
  for (int b = threadIdx.x; b < size; b += blockDim.x) {
    double amplitude = 1;
    for (int k = 0; k < qubits; ++k) {
      const double half = 0.5 * theta[k];
      amplitude *= b >> k & 1 ? sin(half) : cos(half);
    }
    for (int e = 0; e < edge_count; ++e)
      if ((b >> edges[2 * e] & 1) && (b >> edges[2 * e + 1] & 1)) amplitude = -amplitude;
    state[b] = Complex{amplitude, 0};
  }
  for (int k = 0; k < qubits; ++k) {
    __syncthreads();
    const double angle_x = x[(static_cast<long long>(blockIdx.x) * qubits + k) * 2];
    const double angle_z = x[(static_cast<long long>(blockIdx.x) * qubits + k) * 2 + 1];
    const Complex plus_z{cos(angle_z), sin(angle_z)}, minus_z{cos(angle_z), -sin(angle_z)};
    const Complex stay{cos(angle_x), 0}, turn{0, sin(angle_x)};
    for (int b = threadIdx.x; b < size; b += blockDim.x) {
      if (b >> k & 1) continue;
      const Complex zero = times(plus_z, state[b]), one = times(minus_z, state[b | 1 << k]);
      state[b] = plus(times(stay, zero), times(turn, one));
      state[b | 1 << k] = plus(times(turn, zero), times(stay, one));
    }
  }
}

__global__ void overlap(const Complex* states, float* out, int points, int qubits) {
  const long long index = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (index >= static_cast<long long>(points) * points) return;
  const Complex* a = states + (index / points << qubits);
  const Complex* b = states + (index % points << qubits);
  Complex sum{0, 0};
  for (int k = 0; k < 1 << qubits; ++k) sum = plus(sum, times(Complex{a[k].re, -a[k].im}, b[k]));
  out[index] = static_cast<float>(sum.re * sum.re + sum.im * sum.im);
}

extern "C" void solve(const float* x, const float* theta, const int* edges, float* out, int points,
                      int qubits, int edge_count, cudaStream_t stream) {
  Complex* states = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&states),
                  sizeof(Complex) * static_cast<size_t>(points) << qubits, stream);
  build<<<points, 64, 0, stream>>>(x, theta, edges, states, qubits, edge_count);
  const long long entries = static_cast<long long>(points) * points;
  overlap<<<static_cast<unsigned>((entries + 63) / 64), 64, 0, stream>>>(states, out, points,
                                                                         qubits);
  cudaFreeAsync(states, stream);
}
