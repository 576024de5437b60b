// What recording costs: solve() of a small kernel, two recordings in two sandboxes, and what is
// done with them. Prints medians; run by hand:
//
//   record_benchmark [repeats]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "evaluator/compile/compiler.h"
#include "evaluator/record/recorder.h"

namespace {

using namespace assay;

constexpr const char* kSource =
    "__global__ void step(const float* x, float* y, int n) {\n"
    "  const int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i < n) y[i] = 2 * x[i];\n"
    "}\n"
    "extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream) {\n"
    "  for (int i = 0; i < launches; ++i) step<<<(n + 255) / 256, 256, 0, stream>>>(x, y, n);\n"
    "}\n";

constexpr const char* kEntry =
    "extern \"C\" void assay_solve(void** a) {\n"
    "  solve(*(float**)a[0], *(float**)a[1], *(int*)a[2], *(cudaStream_t*)a[3]);\n"
    "}\n";

BoundCase bound_case() {
  BoundCase bound;
  BoundTensor tensor;
  tensor.elements = 1 << 20;
  tensor.shape = {tensor.elements};
  bound.tensors = {tensor, tensor};
  BoundScalar n;
  n.integer = 1 << 20;
  bound.scalars = {n};
  return bound;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "record_benchmark: %s\n", why.c_str());
  std::exit(1);
}

double median_ms(Compiler& compiler, int launches, int repeats) {
  CompileRequest request;
  request.source = "constexpr int launches = " + std::to_string(launches) + ";\n" + kSource;
  request.entry = kEntry;
  const auto compiled = compiler.compile(request);
  if (!compiled.ok()) give_up(compiled.error().message);
  if (compiled->failure) give_up(compiled->failure->explanation);
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto outcome =
        record(*compiled->artifact, bound_case(), default_device_info(request.arch));
    if (!outcome.ok()) give_up(outcome.error().message);
    if (outcome->failure) give_up(outcome->failure->explanation);
    times.push_back(outcome->record_ms);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 50;
  const auto compiler = Compiler::create();
  if (!compiler.ok()) give_up(compiler.error().message);
  for (const int launches : {1, 100, 10'000})
    std::printf("record(), %5d launches: median %7.2f ms of %d\n", launches,
                median_ms(**compiler, launches, repeats), repeats);
}
