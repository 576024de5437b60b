// The stable JSON form of plans and their digest.
#include "evaluator/plan/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/plan/sample.h"

namespace assay {
namespace {

TEST(Plan, HasAStableJsonForm) {
  LaunchPlan plan = sample::plan();
  plan.operations.resize(3);
  EXPECT_EQ(nlohmann::json(plan).dump(),
            R"({"allocations":[{"bytes":4000,"index":0,"kind":"argument"},)"
            R"({"bytes":4000,"index":1,"kind":"argument"},)"
            R"({"bytes":64,"kind":"variable","name":"table"},{"bytes":8192,"kind":"scratch"}],)"
            R"("format":"assay-launch-plan","operations":[)"
            R"({"depends_on":[],"memset":{"element_bytes":1,"height":4,"pitch_bytes":512,)"
            R"("target":{"allocation":3,"offset":0},"value":255,"width_bytes":100},"stream":0},)"
            R"({"copy":{"literal":"0102fe","target":{"allocation":2,"offset":8},"width_bytes":3},)"
            R"("depends_on":[],"stream":3},)"
            R"({"depends_on":[0,1],"launch":{"block":[128,1,1],"dynamic_shared_bytes":2048,)"
            R"("grid":[8,1,1],"kernel":"_Z4stepPKfPfi",)"
            R"("parameters":"00000000000000000000000000000000e8030000",)"
            R"("relocations":[{"offset":0,"target":{"allocation":0,"offset":0}},)"
            R"({"offset":8,"target":{"allocation":3,"offset":-4}}]},"stream":0}],"version":1})");
}

TEST(Plan, WritesElementCopiesAsViews) {
  LaunchPlan plan = sample::plan();
  plan.operations.erase(plan.operations.begin(), plan.operations.begin() + 5);
  EXPECT_EQ(nlohmann::json(plan)["operations"].dump(),
            R"([{"depends_on":[4],"element_copy":{"shape":[20,30],)"
            R"("source":{"allocation":1,"offset":2},"source_dtype":"f16","source_strides":[1,20],)"
            R"("target":{"allocation":3,"offset":4},"target_dtype":"f32",)"
            R"("target_strides":[30,1]},"stream":0}])");
}

TEST(Plan, HasADigestThatIsTheSameOnAllMachines) {
  EXPECT_EQ(sample::plan().digest(),
            "dce8e837654902497628562471cec2345de1b34309aab81a70a9d0781cf204fe");
}

TEST(Plan, HasAnotherDigestWhenAnythingChanges) {
  const std::string digest = sample::plan().digest();
  LaunchPlan plan = sample::plan();
  std::get<Memset>(plan.operations[0].action).value = 0xfe;
  EXPECT_NE(plan.digest(), digest);
  plan = sample::plan();
  plan.operations[2].depends_on = {0};
  EXPECT_NE(plan.digest(), digest);
}

TEST(Plan, HasADigestEvenWithANameThatIsNotText) {
  LaunchPlan plan = sample::plan();
  std::get<Launch>(plan.operations[2].action).kernel = "\xff\xfe";
  EXPECT_EQ(plan.digest().size(), 64u);
}

TEST(Plan, SurvivesTheWayThroughJson) {
  const LaunchPlan plan = sample::plan();
  const auto parsed = parse_plan(nlohmann::json(plan).dump());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, plan);
  EXPECT_EQ(parsed->digest(), plan.digest());
}

}  // namespace
}  // namespace assay
