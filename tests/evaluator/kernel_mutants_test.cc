#include "evaluator/kernel_mutants.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace assay {
namespace {

const char* const kSource =
    "__global__ void add(const float* x, float* y, int n) {\n"
    "  // for (int i = 0; i < n; ++i) in a comment\n"
    "  float sum = 0;\n"
    "  for (int i = 0; i < n; ++i) sum += x[i] - x[0];\n"
    "  if (threadIdx.x >= 1) return;\n"
    "  y[0] = sum;\n"
    "}\n"
    "extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream) {\n"
    "  for (int i = 0; i < n; ++i) add<<<1, 1, 0, stream>>>(x, y, n);\n"
    "}\n";

std::vector<KernelMutant> of_fault(const std::string& fault) {
  std::vector<KernelMutant> found;
  for (const KernelMutant& mutant : mutate_kernel(kSource, 100))
    if (mutant.fault == fault) found.push_back(mutant);
  return found;
}

TEST(KernelMutants, EndALoopEarly) {
  const auto mutants = of_fault("missing tail");
  ASSERT_EQ(mutants.size(), 1u);
  EXPECT_EQ(mutants[0].line, 4);
  EXPECT_EQ(mutants[0].text, "for (int i = 0; i < n - 1; ++i) sum += x[i] - x[0];");
}

TEST(KernelMutants, BeginALoopLate) {
  const auto mutants = of_fault("dropped term");
  ASSERT_EQ(mutants.size(), 1u);
  EXPECT_EQ(mutants[0].text, "for (int i = 1; i < n; ++i) sum += x[i] - x[0];");
}

TEST(KernelMutants, MoveABoundary) {
  const auto mutants = of_fault("wrong boundary");
  ASSERT_EQ(mutants.size(), 1u);
  EXPECT_EQ(mutants[0].text, "if (threadIdx.x > 1) return;");
}

TEST(KernelMutants, TurnASign) {
  const auto mutants = of_fault("wrong sign");
  ASSERT_EQ(mutants.size(), 1u);
  EXPECT_EQ(mutants[0].text, "for (int i = 0; i < n; ++i) sum += x[i] + x[0];");
}

TEST(KernelMutants, RoundASum) {
  const auto mutants = of_fault("low-precision sum");
  ASSERT_EQ(mutants.size(), 1u);
  EXPECT_NE(mutants[0].text.find("sum = __bfloat162float("), std::string::npos);
  EXPECT_EQ(mutants[0].source.find("#include <cuda_bf16.h>"), 0u);
}

TEST(KernelMutants, AreNoMoreThanAskedForAndOfDifferentKinds) {
  const auto mutants = mutate_kernel(kSource, 3);
  ASSERT_EQ(mutants.size(), 3u);
  EXPECT_NE(mutants[0].fault, mutants[1].fault);
  EXPECT_NE(mutants[1].fault, mutants[2].fault);
}

TEST(KernelMutants, LeaveTheHostAlone) {
  for (const KernelMutant& mutant : mutate_kernel(kSource, 100)) EXPECT_LT(mutant.line, 8);
}

}  // namespace
}  // namespace assay
