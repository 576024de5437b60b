// Plans that depend on what should not matter are refused; others are the same every time.
#include "tests/record/recorded.h"

namespace assay {
namespace {

class Irreproducible : public testing::TestWithParam<const char*> {};

TEST_P(Irreproducible, PlansAreRefused) {
  const RecordFailure failure = recorded::failure_of(GetParam());
  EXPECT_EQ(failure.reason, "not_reproducible") << failure.explanation;
  EXPECT_EQ(failure.explanation.find("launches depend on addresses, time or randomness"), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, Irreproducible,
                         testing::Values("grid_from_address", "argument_from_address",
                                         "disguised_pointer", "time", "steady_clock",
                                         "random_device", "crashes_sometimes"),
                         [](const auto& test) { return std::string(test.param); });

TEST(Reproducible, UnseededRandomNumbersAreTheSameEveryTime) {
  EXPECT_EQ(recorded::plan_of("unseeded_rand").operations.size(), 1u);
}

TEST(Reproducible, AddressesOnTheHostAreTheSameEveryTime) {
  EXPECT_EQ(recorded::plan_of("address_of_host_variable").operations.size(), 1u);
}

TEST(Reproducible, PlansHaveTheSameDigestEveryTime) {
  const std::string digest = recorded::plan_of("struct_by_value").digest();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(recorded::plan_of("struct_by_value").digest(), digest);
}

TEST(Reproducible, PaddingOfStructuresDoesNotCount) {
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(recorded::plan_of("padding_after_noise").operations.size(), 6u);
}

TEST(Reproducible, FindsTheFirstDifference) {
  EXPECT_NE(recorded::failure_of("argument_from_address")
                .explanation.find("operation 0, the launch of add_one(float const*, float*, int), "
                                  "had different arguments at byte 16"),
            std::string::npos);
}

}  // namespace
}  // namespace assay
