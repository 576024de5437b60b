// Allocations, memsets and copies.
#include <cstring>

#include "tests/record/recorded.h"

namespace assay {
namespace {

using recorded::operation;
using recorded::plan_of;

TEST(Memory, RecordsScratchMemsetsAndCopies) {
  const LaunchPlan plan = plan_of("scratch");
  ASSERT_EQ(plan.allocations.size(), 4u);
  EXPECT_EQ(plan.allocations[2],
            (Allocation{Allocation::Kind::scratch, 0, "", recorded::kElements * 4}));
  EXPECT_EQ(plan.allocations[3], (Allocation{Allocation::Kind::scratch, 0, "", 512}));
  EXPECT_EQ(operation<Memset>(plan, 0), (Memset{{3, 0}, 0xab, 1, 512, 1, 0}));
  EXPECT_EQ(operation<Copy>(plan, 1), (Copy{{2, 0}, {0, 0}, "", 4000, 1, 0, 0}));
}

TEST(Memory, GivesAPointerOnePastTheEndToTheRightBuffer) {
  const LaunchPlan plan = plan_of("scratch");
  EXPECT_EQ(operation<Launch>(plan, 2).relocations,
            (std::vector<Relocation>{{0, {2, 4000}}, {8, {3, 4}}}));
}

TEST(Memory, RecordsTwoDimensionalMemsetsAndCopies) {
  const RecordOutcome outcome = recorded::record_variant("two_dimensional");
  EXPECT_EQ(outcome.output, "pitch 512\n");
  ASSERT_TRUE(outcome.plan);
  EXPECT_EQ(operation<Memset>(*outcome.plan, 0), (Memset{{2, 0}, 7, 1, 100, 8, 512}));
  EXPECT_EQ(operation<Copy>(*outcome.plan, 1), (Copy{{2, 0}, {0, 0}, "", 100, 8, 512, 100}));
}

TEST(Memory, KeepsBytesFromTheHostAsLiterals) {
  const LaunchPlan plan = plan_of("from_host");
  ASSERT_EQ(plan.operations.size(), 9u);
  const Copy whole = operation<Copy>(plan, 0);
  EXPECT_EQ(plan.allocations[whole.target.allocation].name, "table");
  ASSERT_EQ(whole.literal.size(), 64u);
  float third = 0;
  std::memcpy(&third, whole.literal.data() + 12, 4);
  EXPECT_EQ(third, 3.0f);
  EXPECT_EQ(operation<Copy>(plan, 1).target.offset, 16);
  const Copy from_tensor = operation<Copy>(plan, 2);
  EXPECT_TRUE(from_tensor.literal.empty());
  EXPECT_EQ(plan.allocations[from_tensor.target.allocation].name, "counter");
  EXPECT_EQ(operation<Copy>(plan, 3).target, (Location{whole.target.allocation, 4}));
}

TEST(Memory, SplitsPitchedCopiesFromTheHostIntoRows) {
  const LaunchPlan plan = plan_of("from_host");
  for (size_t row = 0; row < 4; ++row) {
    const Copy copy = operation<Copy>(plan, 4 + row);
    EXPECT_EQ(copy.target.offset, static_cast<int64_t>(row * 64));
    EXPECT_EQ(copy.literal, std::string("\x2a\0\0\0\x2a\0\0\0\x2a\0\0\0\x2a\0\0\0", 16));
  }
}

TEST(Memory, RelocatesAddressesOfVariables) {
  const LaunchPlan plan = plan_of("from_host");
  const Launch launch = operation<Launch>(plan, 8);
  ASSERT_EQ(launch.relocations.size(), 2u);
  EXPECT_EQ(plan.allocations[launch.relocations[0].target.allocation].name, "table");
}

TEST(Memory, CopiesWithinHostMemoryAtOnce) {
  const LaunchPlan plan = plan_of("host_to_host");
  ASSERT_EQ(plan.operations.size(), 1u);
  EXPECT_EQ(operation<Launch>(plan, 0).grid.x, 5u);
}

struct FailureCase {
  const char* variant;
  const char* reason;
  const char* says;
};
class MemoryFailures : public testing::TestWithParam<FailureCase> {};

TEST_P(MemoryFailures, SayWhatWasWrong) {
  const RecordFailure failure = recorded::failure_of(GetParam().variant);
  EXPECT_EQ(failure.kind, RecordFailure::Kind::record_error);
  EXPECT_EQ(failure.reason, GetParam().reason);
  EXPECT_NE(failure.explanation.find(GetParam().says), std::string::npos) << failure.explanation;
}

INSTANTIATE_TEST_SUITE_P(
    All, MemoryFailures,
    testing::Values(
        FailureCase{"terabyte", "scratch_limit", "1024.0 GiB"},
        FailureCase{"terabyte", "scratch_limit", "141.0 GiB of memory"},
        FailureCase{"many_small_allocations", "plan_limits", "4096 allocations"},
        FailureCase{"copy_too_long", "invalid_argument",
                    "4004 bytes from byte 0 on do not fit into tensor y"},
        FailureCase{"large_literal", "plan_limits", "1048576 bytes from the host"},
        FailureCase{"wrong_direction", "invalid_argument", "source is device memory"},
        FailureCase{"double_free", "invalid_argument", "freed twice"},
        FailureCase{"free_tensor", "invalid_argument", "not a pointer that cudaMalloc returned"},
        FailureCase{"pointer_table", "not_reproducible", "pass them as kernel parameters"}),
    [](const auto& test) { return test.param.variant + std::to_string(test.index); });

}  // namespace
}  // namespace assay
