// task: radix-sort-pairs
// expect: wrong_output
// reason: mismatch
// case: few-keys
// Orders equal keys by value.
using Word = unsigned long long;

__global__ void pack(const unsigned* keys, const unsigned* values, Word* words, int n,
                     long long padded) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= padded) return;
  words[i] = i < n ? static_cast<Word>(keys[i]) << 32 | values[i] : ~Word{0};
}

__global__ void stage(Word* words, long long padded, long long run, long long stride) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= padded / 2) return;
  const long long low = 2 * i - (i & (stride - 1)), high = low + stride;
  const Word a = words[low], b = words[high];
  if ((a > b) == ((low & run) == 0)) {
    words[low] = b;
    words[high] = a;
  }
}

__global__ void unpack(const Word* words, const unsigned* values, unsigned* sorted_keys,
                       unsigned* sorted_values, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  sorted_keys[i] = static_cast<unsigned>(words[i] >> 32);
  sorted_values[i] = static_cast<unsigned>(words[i]);
}

extern "C" void solve(const unsigned int* keys, const unsigned int* values,
                      unsigned int* sorted_keys, unsigned int* sorted_values, int n,
                      cudaStream_t stream) {
  long long padded = 2;
  while (padded < n) padded *= 2;
  Word* words = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&words), sizeof(Word) * padded, stream);
  const int blocks = static_cast<int>((padded + 255) / 256);
  pack<<<blocks, 256, 0, stream>>>(keys, values, words, n, padded);
  for (long long run = 2; run <= padded; run *= 2)
    for (long long stride = run / 2; stride > 0; stride /= 2)
      stage<<<(blocks + 1) / 2, 256, 0, stream>>>(words, padded, run, stride);
  unpack<<<(n + 255) / 256, 256, 0, stream>>>(words, values, sorted_keys, sorted_values, n);
  cudaFreeAsync(words, stream);
}
