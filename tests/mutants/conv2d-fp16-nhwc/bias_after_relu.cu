// task: conv2d-fp16-nhwc
// expect: wrong_output
// reason: mismatch
// case: ragged
// Adds the bias after the ReLU.
#include <cuda_fp16.h>

__global__ void convolution(const __half* x, const __half* w, const __half* bias, __half* y,
                            int height, int width, int channels, int filters, int filter_height,
                            int filter_width, int stride, int pad, int out_height, int out_width) {
  const int q = blockIdx.x % out_width, p = blockIdx.x / out_width % out_height;
  const long long image = blockIdx.x / (out_width * out_height);
  for (int k = threadIdx.x; k < filters; k += blockDim.x) {
    float sum = 0;
    for (int i = 0; i < filter_height; ++i)
      for (int j = 0; j < filter_width; ++j) {
        const int row = p * stride + i - pad, column = q * stride + j - pad;
        if (row < 0 || row >= height || column < 0 || column >= width) continue;
        const __half* pixel = x + ((image * height + row) * width + column) * channels;
        const __half* weights =
            w + ((static_cast<long long>(k) * filter_height + i) * filter_width + j) * channels;
        for (int c = 0; c < channels; ++c) sum += __half2float(pixel[c]) * __half2float(weights[c]);
      }
    y[static_cast<long long>(blockIdx.x) * filters + k] =
        __float2half(fmaxf(sum, 0.0f) + __half2float(bias[k]));
  }
}

extern "C" void solve(const __half* x, const __half* w, const __half* bias, __half* y, int images,
                      int height, int width, int channels, int filters, int filter_height,
                      int filter_width, int stride, int pad, cudaStream_t stream) {
  const int out_height = (height + 2 * pad - filter_height) / stride + 1;
  const int out_width = (width + 2 * pad - filter_width) / stride + 1;
  convolution<<<images * out_height * out_width, 64, 0, stream>>>(
      x, w, bias, y, height, width, channels, filters, filter_height, filter_width, stride, pad,
      out_height, out_width);
}
