// task: prefix-sum
// expect: runtime_fault
// reason: illegal_address
// says: tensor x
// case: tiny
// cuda: correct
// Looks at one element after the last.
__global__ void scan(const int* x, int* y, int n) {
  int sum = 0, next = x[0];
  for (int i = 0; i < n; ++i) {
    sum += next;
    next = x[i + 1];
    y[i] = sum;
  }
}

extern "C" void solve(const int* x, int* y, int n, cudaStream_t stream) {
  scan<<<1, 1, 0, stream>>>(x, y, n);
}
