// Fills on a GPU against fills on the CPU: same source, same bits. fill_device_test compiles this
// file to PTX everywhere and, where there is a GPU, builds and runs it:
//   nvcc -std=c++20 -fmad=false -Xcompiler -ffp-contract=off -I. tests/tasks/fill_gpu_check.cu ...
// Prints one line for each fill and exits with 1 if any differs.
#include <cstdio>
#include <cstring>
#include <vector>

#include "tasks/fill_element.h"

__global__ void fill_kernel(assay::Fill fill, assay::FillKey key, void* data) {
  const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
  const uint64_t units = assay::fills::unit_count(fill);
  for (uint64_t unit = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; unit < units; unit += step)
    assay::fills::fill_unit(fill, key, unit, data);
}

namespace {

using assay::Dtype;
using assay::Fill;
using assay::FillKind;

constexpr uint64_t kElements = 64 * 2048;

/// Parameters that every kind accepts; rows of 64.
Fill sample(FillKind kind, Dtype dtype) {
  Fill fill;
  fill.kind = kind;
  fill.dtype = dtype;
  fill.ordinal = 5;
  fill.elements = kElements;
  fill.row = 64;
  switch (kind) {
    case FillKind::constant:
      fill.a = 3;
      break;
    case FillKind::arange:
      fill.a = 2, fill.b = 0.25;
      break;
    case FillKind::normal:
      fill.a = 1, fill.b = 20;
      break;
    case FillKind::uniform:
      fill.a = -2, fill.b = 40;
      break;
    case FillKind::randint:
      fill.a = -3, fill.b = 1e15;
      break;
    case FillKind::permutation:
      fill.a = 100;
      break;
    case FillKind::bernoulli:
      fill.a = 0.3, fill.b = 2;
      break;
    case FillKind::cumulative_lengths:
    case FillKind::lengths:
      fill.a = 1000, fill.b = 1, fill.c = 2.5, fill.d = 0.2, fill.e = 0.3;
      break;
    case FillKind::segment_ids:
      fill.a = 9, fill.b = 1, fill.c = 2.5, fill.d = 0.2, fill.e = 0.3;
      break;
    case FillKind::sorted_unique:
      fill.a = 4, fill.b = 500;
      break;
    case FillKind::packed_bits:
      fill.a = 2, fill.b = 0, fill.c = 3;
      break;
    case FillKind::outliers:
      fill.b = 1, fill.c = 0.01, fill.d = 1000;
      break;
    case FillKind::log_uniform:
      fill.a = 1e-3, fill.b = 1e3, fill.c = 1;
      break;
    case FillKind::one_hot:
      fill.a = 1;
      break;
    case FillKind::half_normal:
    case FillKind::exponential:
      fill.a = 3;
      break;
    case FillKind::zipf:
      fill.a = 1000, fill.b = 1.1;
      break;
    case FillKind::stratified:
      fill.a = -1, fill.b = 200;
      break;
    case FillKind::scaled_rows:
      fill.a = 1, fill.b = 0.01, fill.c = 100;
      break;
    case FillKind::unit_rows:
      break;
    case FillKind::softmax_rows:
      fill.a = 2;
      break;
  }
  return fill;
}

std::vector<char> on_gpu(const Fill& fill, assay::FillKey key) {
  std::vector<char> bytes(kElements * 8);
  void* device = nullptr;
  cudaMalloc(&device, bytes.size());
  cudaMemset(device, 0, bytes.size());
  fill_kernel<<<264, 256>>>(fill, key, device);
  if (cudaMemcpy(bytes.data(), device, bytes.size(), cudaMemcpyDeviceToHost) != cudaSuccess)
    bytes.clear();
  cudaFree(device);
  return bytes;
}

std::vector<char> on_cpu(const Fill& fill, assay::FillKey key) {
  std::vector<char> bytes(kElements * 8);
  for (uint64_t unit = 0; unit < assay::fills::unit_count(fill); ++unit)
    assay::fills::fill_unit(fill, key, unit, bytes.data());
  return bytes;
}

}  // namespace

int main() {
  int differing = 0;
  for (int kind = 0; kind < assay::kFillKindCount; ++kind)
    for (int dtype = 0; dtype < assay::kDtypeCount; ++dtype)
      for (const bool modified : {false, true}) {
        Fill fill = sample(static_cast<FillKind>(kind), static_cast<Dtype>(dtype));
        if (modified) fill.grid = 0.3, fill.replace = 0.2, fill.with = 7, fill.replace_row = 3;
        const assay::FillKey key{0x0123456789abcdef, 3};
        const std::vector<char> gpu = on_gpu(fill, key), cpu = on_cpu(fill, key);
        const bool same = gpu == cpu;
        differing += !same;
        if (!same)
          std::printf("kind %d dtype %d modified %d: %s\n", kind, dtype, modified,
                      gpu.empty() ? cudaGetErrorString(cudaGetLastError()) : "bits differ");
      }
  std::printf("%d of %d fills differ\n", differing, assay::kFillKindCount * assay::kDtypeCount * 2);
  return differing == 0 ? 0 : 1;
}
