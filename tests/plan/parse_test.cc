// Text that nobody vouches for: exact errors, bounded sizes, and never a crash.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "evaluator/plan/limits.h"
#include "evaluator/plan/plan.h"
#include "tests/plan/sample.h"

namespace assay {
namespace {

using nlohmann::json;

std::string error_of(const std::string& text) {
  const auto parsed = parse_plan(text);
  return parsed.ok() ? "" : parsed.error().message;
}

/// The error of the sample plan after a change to its JSON form.
std::string error_after(const std::function<void(json&)>& change) {
  json plan = sample::plan();
  change(plan);
  return error_of(plan.dump());
}

TEST(ParsePlan, SaysWhereAValueIsMissing) {
  EXPECT_EQ(error_after([](json& plan) { plan["operations"][2]["launch"].erase("grid"); }),
            "launch plan: operations[2].launch: 'grid' is missing");
}

TEST(ParsePlan, SaysWhatAValueMustBe) {
  EXPECT_EQ(error_after([](json& plan) { plan["operations"][2]["launch"]["grid"][1] = -1; }),
            "launch plan: operations[2].launch.grid[1]: must be a whole number from 0");
  EXPECT_EQ(error_after([](json& plan) { plan["operations"][2]["launch"]["grid"][1] = 1.5; }),
            "launch plan: operations[2].launch.grid[1]: must be a whole number from 0");
  EXPECT_EQ(error_after([](json& plan) { plan["operations"][3]["launch"]["cooperative"] = 1; }),
            "launch plan: operations[3].launch.cooperative: must be true or false");
  EXPECT_EQ(error_after([](json& plan) { plan["operations"] = 5; }),
            "launch plan: operations: must be a list");
  EXPECT_EQ(error_after([](json& plan) { plan["allocations"][3]["kind"] = "heap"; }),
            "launch plan: allocations[3]: 'kind' must be argument, scratch or variable");
}

TEST(ParsePlan, RefusesNumbersBeyondTheirLimits) {
  EXPECT_EQ(
      error_after([](json& plan) { plan["operations"][0]["depends_on"] = {4294967296u}; }),
      "launch plan: operations[0].depends_on[0]: 4294967296 is above the limit of 4294967295");
  EXPECT_NE(error_after([](json& plan) {
              plan["operations"][0]["memset"]["target"]["offset"] = INT64_MIN;
            }).find("is below the limit"),
            std::string::npos);
  EXPECT_NE(error_after([](json& plan) {
              plan["allocations"][3]["bytes"] = UINT64_MAX;
            }).find("is above the limit"),
            std::string::npos);
}

TEST(ParsePlan, RefusesUnknownMembersAndVersions) {
  EXPECT_EQ(error_after([](json& plan) { plan["operations"][0]["memset"]["colour"] = 1; }),
            "launch plan: operations[0].memset: unknown member 'colour'");
  EXPECT_EQ(error_after([](json& plan) { plan["version"] = 2; }),
            "launch plan: 'version' is not 1");
  EXPECT_EQ(error_after([](json& plan) { plan["format"] = "other"; }),
            "launch plan: 'format' is not \"assay-launch-plan\"");
}

TEST(ParsePlan, RefusesAnOperationOfTwoKindsOrNone) {
  EXPECT_NE(error_after([](json& plan) {
              plan["operations"][0]["launch"] = plan["operations"][2]["launch"];
            }).find("exactly one of"),
            std::string::npos);
  EXPECT_NE(
      error_after([](json& plan) { plan["operations"][0].erase("memset"); }).find("exactly one of"),
      std::string::npos);
}

TEST(ParsePlan, RefusesBytesThatAreNotHexadecimal) {
  for (const char* bytes : {"0", "0g", "0A", "é0"})
    EXPECT_NE(error_after([&](json& plan) {
                plan["operations"][1]["copy"]["literal"] = bytes;
              }).find("operations[1].copy.literal: "),
              std::string::npos)
        << bytes;
}

TEST(ParsePlan, RefusesTensorMapsOfAnotherRankThanTheirLists) {
  EXPECT_EQ(error_after(
                [](json& plan) { plan["operations"][3]["launch"]["tensor_maps"][0]["rank"] = 3; }),
            "launch plan: operations[3].launch.tensor_maps[0].dimensions: must have 3 entries");
  EXPECT_NE(error_after([](json& plan) {
              plan["operations"][3]["launch"]["tensor_maps"][0]["rank"] = 0;
            }).find("1 to 5"),
            std::string::npos);
}

TEST(ParsePlan, RefusesElementCopiesThatAreWrong) {
  const auto error_with = [](const char* member, const json& value) {
    return error_after([&](json& plan) { plan["operations"][5]["element_copy"][member] = value; });
  };
  const std::string where = "launch plan: operations[5].element_copy.";
  EXPECT_EQ(error_with("target_dtype", "f12"), where + "target_dtype: is no element type");
  EXPECT_EQ(error_with("source_strides", {1, 20, 1}),
            where + "source_strides: must have 2 entries");
  EXPECT_EQ(error_with("target_strides", {-1, 1}),
            where + "target_strides[0]: must be a whole number from 0");
  EXPECT_NE(error_with("shape", {1, 1, 1, 1, 1, 1, 1, 1, 1}).find("at most 8"), std::string::npos);
  EXPECT_NE(error_with("shape", {UINT64_MAX, 1}).find("above the limit"), std::string::npos);
}

TEST(ParsePlan, BoundsAllCountsAndSizes) {
  EXPECT_NE(error_after([](json& plan) {
              plan["operations"] = json::array();
              const json memset = json(sample::plan())["operations"][0];
              for (size_t i = 0; i <= plan_limits::kOperations; ++i)
                plan["operations"].push_back(memset);
            }).find("at most 10000 are allowed"),
            std::string::npos);
  EXPECT_NE(error_after([](json& plan) {
              plan["operations"][2]["launch"]["parameters"] =
                  std::string(2 * plan_limits::kParameterBytes + 2, '0');
            }).find("at most"),
            std::string::npos);
  EXPECT_NE(error_after([](json& plan) {
              json copy = plan["operations"][1];
              copy["copy"]["literal"] = std::string(plan_limits::kLiteralBytesTotal, '0');
              for (int i = 0; i < 3; ++i) plan["operations"].push_back(copy);
            }).find("the literals of the plan have too many bytes"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(plan_limits::kPlanTextBytes + 1, ' ')).find("bytes of text"),
            std::string::npos);
}

TEST(ParsePlan, RefusesTextThatIsNoPlan) {
  EXPECT_EQ(error_of(""), "launch plan: not valid JSON");
  EXPECT_EQ(error_of("{"), "launch plan: not valid JSON");
  EXPECT_EQ(error_of("[]"), "launch plan: must be an object");
  EXPECT_EQ(error_of(std::string(1 << 20, '[')), "launch plan: nested too deeply");
  EXPECT_EQ(error_of("{\"\xff\":1}"), "launch plan: not valid JSON");
}

RC_GTEST_PROP(ParsePlan, NeverCrashesOnChangedBytes, ()) {
  std::string text = json(sample::plan()).dump();
  const auto changes = *rc::gen::inRange(1, 8);
  for (int i = 0; i < changes; ++i)
    text[*rc::gen::inRange<size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
  if (const auto parsed = parse_plan(text); parsed.ok())
    validate(*parsed, sample::artifact(), sample::bound(), default_device_info("sm_90"));
}

RC_GTEST_PROP(ParsePlan, NeverCrashesOnChangedValues, ()) {
  const json whole = json(sample::plan()).flatten();
  json changed = whole;
  auto entry = changed.begin();
  std::advance(entry, *rc::gen::inRange<size_t>(0, changed.size()));
  entry.value() = *rc::gen::element<json>(
      json(-1), json(0), json(INT64_MIN), json(INT64_MAX), json(UINT64_MAX), json(UINT32_MAX),
      json(1e300), json("x"), json(""), json(true), json(nullptr), json(4), json(6), json(5));
  if (const auto parsed = parse_plan(changed.unflatten().dump()); parsed.ok())
    validate(*parsed, sample::artifact(), sample::bound(), default_device_info("sm_90"));
}

}  // namespace
}  // namespace assay
