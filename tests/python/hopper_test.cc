// Recordings for sm_90, which the virtual device does not run: what launches ask of the GPU is in
// the plan, and the plan fits the kernels.
#include <gtest/gtest.h>

#include <string>

#include "evaluator/triton/installation.h"
#include "evaluator/triton/recorder.h"
#include "tests/compile/support.h"

namespace assay::triton {
namespace {

constexpr uint64_t kSize = 64;

BoundTensor matrix(const char* name, Direction direction) {
  BoundTensor tensor;
  tensor.name = name;
  tensor.direction = direction;
  tensor.dtype = Dtype::f16;
  tensor.shape = {kSize, kSize};
  tensor.elements = kSize * kSize;
  return tensor;
}

/// The plan of a candidate with x and y, both f16[64, 64]; fails the test where there is none.
LaunchPlan plan_of(const std::string& body) {
  const std::string source =
      "import torch\nimport triton\nimport triton.language as tl\n"
      "from triton.tools.tensor_descriptor import TensorDescriptor\n\n" +
      body;
  BoundCase bound;
  bound.tensors = {matrix("x", Direction::in), matrix("y", Direction::out)};
  const auto compiler = testing::make_compiler(false);
  Workers workers(0);
  const auto recorded = record({.source = source, .arch = "sm_90a"}, bound,
                               default_device_info("sm_90"), *compiler, workers);
  EXPECT_TRUE(recorded.ok()) << recorded.error().message;
  if (!recorded.ok()) return {};
  EXPECT_FALSE(recorded->outcome.failure) << recorded->outcome.failure->explanation;
  return recorded->outcome.plan.value_or(LaunchPlan{});
}

/// The only launch of a plan.
Launch launch_of(const LaunchPlan& plan) {
  EXPECT_EQ(plan.operations.size(), 1u);
  if (plan.operations.size() != 1) return {};
  return std::get<Launch>(plan.operations[0].action);
}

class HopperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto found = find_installation(); !found.ok()) GTEST_SKIP() << found.error().message;
  }
};

TEST_F(HopperTest, DescriptorsOfTheHostAreTensorMaps) {
  const Launch launch = launch_of(plan_of(R"(
@triton.jit
def copy(x, factor, y, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK
    y.store([i, 0], x.load([i, 0]) * factor)

def solve(x, y):
    x = TensorDescriptor.from_tensor(x.view(32, 128)[:, :64], [16, 32], padding="nan")
    copy[(2,)](x, 32, TensorDescriptor.from_tensor(y, [16, 32]), BLOCK=16)
)"));
  ASSERT_EQ(launch.tensor_maps.size(), 2u);
  TensorMap wanted;
  wanted.base = {0, 0};
  wanted.data_type = 6;  // CU_TENSOR_MAP_DATA_TYPE_FLOAT16
  wanted.rank = 2;
  wanted.dimensions = {64, 32};
  wanted.strides_bytes = {256};
  wanted.box = {32, 16};
  wanted.element_strides = {1, 1};
  wanted.swizzle = 2;       // of 64 bytes: a row of the box
  wanted.l2_promotion = 2;  // 128 bytes
  wanted.oob_fill = 1;      // NaN
  EXPECT_EQ(launch.tensor_maps[0], wanted);
  EXPECT_EQ(launch.tensor_maps[1].base, (Location{1, 0}));
  EXPECT_EQ(launch.tensor_maps[1].offset % 64, 0u);
  EXPECT_EQ(launch.tensor_maps[1].oob_fill, 0u);
}

TEST_F(HopperTest, DescriptorsOfTheDeviceGetScratchMemory) {
  const LaunchPlan plan = plan_of(R"(
@triton.jit
def copy(x_start, y_start, ROWS: tl.constexpr):
    x = tl.make_tensor_descriptor(x_start, [64, 64], [64, 1], [ROWS, 64])
    y = tl.make_tensor_descriptor(y_start, [64, 64], [64, 1], [ROWS, 64])
    y.store([tl.program_id(0) * ROWS, 0], x.load([tl.program_id(0) * ROWS, 0]))

def solve(x, y):
    triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8))
    copy[(4,)](x, y, ROWS=16)
)");
  ASSERT_EQ(plan.allocations.size(), 3u);
  EXPECT_EQ(plan.allocations[2].kind, Allocation::Kind::scratch);
  EXPECT_EQ(plan.allocations[2].bytes, 4u * 2 * 128);  // two tensor maps a block
  const Launch launch = launch_of(plan);
  EXPECT_EQ(launch.relocations, (std::vector<Relocation>{{0, {0, 0}}, {8, {1, 0}}, {16, {2, 0}}}));
}

constexpr const char* kCopy = R"(
@triton.jit
def copy(x, y, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + i, tl.load(x + i))

def solve(x, y):
    copy[(4,)](x, y, BLOCK=1024, )";

TEST_F(HopperTest, SeveralBlocksOfAProgramAreACluster) {
  const Launch launch = launch_of(plan_of(std::string(kCopy) + "num_ctas=2)\n"));
  EXPECT_EQ(launch.grid, (Dim3{8, 1, 1}));
  EXPECT_EQ(launch.cluster, (Dim3{2, 1, 1}));
}

TEST_F(HopperTest, LaunchesMayBeCooperativeOrStartEarly) {
  EXPECT_TRUE(
      launch_of(plan_of(std::string(kCopy) + "launch_cooperative_grid=True)\n")).cooperative);
  EXPECT_TRUE(launch_of(plan_of(std::string(kCopy) + "launch_pdl=True)\n")).programmatic);
}

}  // namespace
}  // namespace assay::triton
