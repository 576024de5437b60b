// Launches of all kinds become operations of the plan with the right parameters.
#include <cstring>

#include "tests/record/recorded.h"

namespace assay {
namespace {

using recorded::operation;
using recorded::plan_of;
using recorded::record_variant;

int32_t int_at(const Launch& launch, size_t offset) {
  int32_t value = -1;
  if (offset + 4 <= launch.parameters.size())
    std::memcpy(&value, launch.parameters.data() + offset, 4);
  return value;
}

std::string demangled(const Launch& launch) {
  const Kernel* kernel = recorded::artifact().find_kernel(launch.kernel);
  return kernel != nullptr ? kernel->demangled : "";
}

TEST(Launches, RecordsGridBlockAndRelocatedParameters) {
  const LaunchPlan plan = plan_of("plain");
  ASSERT_EQ(plan.operations.size(), 1u);
  const Launch launch = operation<Launch>(plan, 0);
  EXPECT_EQ(demangled(launch), "add_one(float const*, float*, int)");
  EXPECT_EQ(launch.grid, (Dim3{8, 1, 1}));
  EXPECT_EQ(launch.block, (Dim3{128, 1, 1}));
  ASSERT_EQ(launch.parameters.size(), 20u);
  EXPECT_EQ(launch.parameters.substr(0, 16), std::string(16, '\0'));
  EXPECT_EQ(int_at(launch, 16), recorded::kElements);
  const std::vector<Relocation> expected = {{0, {recorded::tensor(plan, 0), 0}},
                                            {8, {recorded::tensor(plan, 1), 0}}};
  EXPECT_EQ(launch.relocations, expected);
}

TEST(Launches, NamesAllTensorsButOnlyUsedVariables) {
  const LaunchPlan plan = plan_of("plain");
  ASSERT_EQ(plan.allocations.size(), 2u);
  EXPECT_EQ(plan.allocations[0].bytes, recorded::kElements * sizeof(float));
  EXPECT_EQ(plan.allocations[1].kind, Allocation::Kind::argument);
  EXPECT_EQ(plan.allocations[1].index, 1u);
}

TEST(Launches, FindsTemplateKernelsAndKernelsInAnonymousNamespaces) {
  const LaunchPlan plan = plan_of("kinds_of_kernels");
  ASSERT_EQ(plan.operations.size(), 5u);
  EXPECT_NE(demangled(operation<Launch>(plan, 0)).find("scale<float, 4>"), std::string::npos);
  EXPECT_NE(demangled(operation<Launch>(plan, 1)).find("scale<double, 2>"), std::string::npos);
  EXPECT_NE(demangled(operation<Launch>(plan, 2)).find("hidden"), std::string::npos);
  const Copy copy = operation<Copy>(plan, 3);
  EXPECT_EQ(copy.literal.size(), 16u);
  EXPECT_NE(plan.allocations[copy.target.allocation].name.find("hidden_table"), std::string::npos);
}

TEST(Launches, RecordsCudaLaunchKernelByFunctionPointer) {
  const Launch launch = operation<Launch>(plan_of("function_pointer"), 0);
  EXPECT_EQ(launch.grid, (Dim3{3, 2, 1}));
  EXPECT_EQ(launch.block, (Dim3{32, 4, 2}));
  EXPECT_EQ(launch.relocations.size(), 2u);
}

TEST(Launches, RelocatesPointersInsideStructuresAndIgnoresPadding) {
  const LaunchPlan plan = plan_of("struct_by_value");
  ASSERT_EQ(plan.operations.size(), 7u);
  const Launch first = operation<Launch>(plan, 0);
  const uint32_t x = recorded::tensor(plan, 0), y = recorded::tensor(plan, 1);
  EXPECT_EQ(first.relocations, (std::vector<Relocation>{{8, {x, 20}}, {24, {y, 28}}}));
  EXPECT_EQ(first.parameters[0], 'b');
  EXPECT_EQ(int_at(first, 16), recorded::kElements);
  EXPECT_EQ(int_at(first, 40), recorded::kElements);
  const Launch last = operation<Launch>(plan, 6);
  ASSERT_EQ(last.relocations.size(), 2u);
  EXPECT_EQ(plan.allocations[last.relocations[0].target.allocation].kind,
            Allocation::Kind::scratch);
}

TEST(Launches, RelocatesUnalignedPointers) {
  const LaunchPlan plan = plan_of("packed_struct");
  const Launch launch = operation<Launch>(plan, 0);
  EXPECT_EQ(launch.relocations, (std::vector<Relocation>{{1, {recorded::tensor(plan, 1), 12}}}));
  EXPECT_EQ(launch.parameters, std::string("p") + std::string(8, '\0'));
}

TEST(Launches, RecordsParametersOfAlmostFourKibibytes) {
  const Launch launch = operation<Launch>(plan_of("large_parameters"), 0);
  ASSERT_EQ(launch.parameters.size(), 480 * 8 + 8u);
  EXPECT_EQ(int_at(launch, 56), 0x55667788);
  ASSERT_EQ(launch.relocations.size(), 1u);
  EXPECT_EQ(launch.relocations[0].offset, 3840u);
}

TEST(Launches, RecordsCooperativeLaunches) {
  EXPECT_TRUE(operation<Launch>(plan_of("cooperative"), 0).cooperative);
  EXPECT_FALSE(operation<Launch>(plan_of("plain"), 0).cooperative);
}

TEST(Launches, RecordsClusterAndCooperativeAttributes) {
  const Launch launch = operation<Launch>(plan_of("attributes"), 0);
  EXPECT_EQ(launch.cluster, (Dim3{2, 1, 1}));
  EXPECT_TRUE(launch.cooperative);
}

TEST(Launches, KeepsProgrammaticLaunchOnlyDirectlyAfterAKernel) {
  const LaunchPlan plan = plan_of("programmatic");
  EXPECT_FALSE(operation<Launch>(plan, 0).programmatic);
  EXPECT_TRUE(operation<Launch>(plan, 1).programmatic);
  EXPECT_FALSE(operation<Launch>(plan, 3).programmatic);
}

TEST(Launches, RefusesClustersOnOlderDevices) {
  const RecordOutcome outcome = record_variant("attributes", default_device_info("sm_86"));
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->kind, RecordFailure::Kind::launch_error);
  EXPECT_NE(outcome.failure->explanation.find("sm_90"), std::string::npos);
}

TEST(Launches, RecordsDynamicSharedMemoryAllowedByAttribute) {
  EXPECT_EQ(operation<Launch>(plan_of("dynamic_shared"), 0).dynamic_shared_bytes, 100u << 10);
}

TEST(Launches, RecordsPointersFarFromTheirBufferWithinSlack) {
  const LaunchPlan plan = plan_of("far_pointer");
  EXPECT_EQ(operation<Launch>(plan, 0).relocations[0].target,
            (Location{recorded::tensor(plan, 0), -(int64_t{4} << 20)}));
}

struct LimitCase {
  const char* variant;
  const char* says;
};
class LaunchLimits : public testing::TestWithParam<LimitCase> {};

TEST_P(LaunchLimits, AreLaunchErrorsWithASentence) {
  const RecordFailure failure = recorded::failure_of(GetParam().variant);
  EXPECT_EQ(failure.kind, RecordFailure::Kind::launch_error);
  EXPECT_EQ(failure.reason, "launch_limits");
  EXPECT_NE(failure.explanation.find(GetParam().says), std::string::npos) << failure.explanation;
}

INSTANTIATE_TEST_SUITE_P(
    All, LaunchLimits,
    testing::Values(LimitCase{"shared_without_attribute", "cudaFuncSetAttribute"},
                    LimitCase{"too_many_threads", "(1025, 1, 1)"},
                    LimitCase{"too_many_blocks", "2147483647"},
                    LimitCase{"above_launch_bounds", "__launch_bounds__"},
                    LimitCase{"cooperative_too_large", "cooperative launch of 100000 blocks"}),
    [](const auto& test) { return std::string(test.param.variant); });

TEST(Launches, RecordsTensorMapsAsDescriptions) {
  const LaunchPlan plan = plan_of("tensor_map");
  const Launch launch = operation<Launch>(plan, 0);
  ASSERT_EQ(launch.tensor_maps.size(), 1u);
  const TensorMap& map = launch.tensor_maps[0];
  EXPECT_EQ(map.offset, 0u);
  EXPECT_EQ(map.base, (Location{recorded::tensor(plan, 0), 64}));
  EXPECT_EQ(map.data_type, 7u);
  EXPECT_EQ(map.rank, 2u);
  EXPECT_EQ(map.dimensions, (std::array<uint64_t, 5>{16, 8, 0, 0, 0}));
  EXPECT_EQ(map.strides_bytes[0], 64u);
  EXPECT_EQ(map.box, (std::array<uint32_t, 5>{16, 4, 0, 0, 0}));
  EXPECT_EQ(map.swizzle, 2u);
  EXPECT_EQ(launch.relocations, (std::vector<Relocation>{{128, {recorded::tensor(plan, 1), 0}}}));
  EXPECT_EQ(launch.parameters, std::string(136, '\0'));
}

TEST(Launches, RefusesTensorMapsBeyondTheirBuffer) {
  const RecordFailure failure = recorded::failure_of("tensor_map_too_large");
  EXPECT_EQ(failure.reason, "invalid_argument");
  EXPECT_NE(failure.explanation.find("past the end of tensor x"), std::string::npos);
}

TEST(Launches, ReportsInvalidTensorMapsToTheCandidate) {
  const RecordOutcome outcome = record_variant("invalid_tensor_map");
  EXPECT_TRUE(outcome.plan);
  EXPECT_EQ(outcome.output, "encoded 1\n");
}

}  // namespace
}  // namespace assay
