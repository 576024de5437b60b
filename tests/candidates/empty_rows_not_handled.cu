// task: row-softmax
// expect: wrong_output
// reason: mismatch
// case: empty-rows
// A do-while loop takes the first element of the next row for one of an empty row, and the rows are
// written one after another by one thread: the last one to come spoils it.
__global__ void softmax(const float* x, const int* offsets, float* y, int rows, int nnz) {
  for (int row = rows - 1; row >= 0; --row) {
    const int begin = offsets[row], end = offsets[row + 1];
    if (begin == nnz) continue;
    float largest = -INFINITY, sum = 0;
    int i = begin;
    do largest = fmaxf(largest, x[i]);
    while (++i < end);
    i = begin;
    do sum += expf(x[i] - largest);
    while (++i < end);
    i = begin;
    do y[i] = expf(x[i] - largest) / sum;
    while (++i < end);
  }
}

extern "C" void solve(const float* x, const int* offsets, float* y, int rows, int nnz,
                      cudaStream_t stream) {
  softmax<<<1, 1, 0, stream>>>(x, offsets, y, rows, nnz);
}
