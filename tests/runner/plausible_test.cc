#include <gtest/gtest.h>

#include "evaluator/runner/messages.h"
#include "tests/runner/doubling_job.h"

namespace assay {
namespace {

class PlausibleTest : public testing::Test {
 protected:
  PlausibleTest() {
    report_.outcome = Outcome::correct;
    Comparison comparison;
    comparison.elements = kJobElements;
    report_.comparisons = {{"y", comparison}};
  }

  Comparison& comparison() { return report_.comparisons[0].comparison; }
  bool fits() const { return plausible(report_, doubling_.job).ok(); }

  DoublingJob doubling_;
  CheckReport report_;
};

TEST_F(PlausibleTest, AnHonestReportFits) {
  EXPECT_TRUE(fits());
  report_.outcome = Outcome::wrong_output;
  comparison().mismatches = 2;
  comparison().first = comparison().worst = ElementError{kJobElements - 1, 1, 1};
  EXPECT_TRUE(fits());
}

TEST_F(PlausibleTest, AStoryThatEndedEarlyHasNoComparisons) {
  report_.comparisons.clear();
  for (const Outcome outcome : {Outcome::runtime_fault, Outcome::timeout, Outcome::tampered}) {
    report_.outcome = outcome;
    EXPECT_TRUE(fits());
  }
}

TEST_F(PlausibleTest, CorrectNeedsComparisonsThatSaySo) {
  comparison().frobenius_exceeded = true;
  EXPECT_FALSE(fits());
  report_.comparisons.clear();
  EXPECT_FALSE(fits());
}

TEST_F(PlausibleTest, SomeOutcomesDoNotComeFromADevice) {
  for (const Outcome outcome :
       {Outcome::no_code, Outcome::rejected, Outcome::compile_error, Outcome::record_error}) {
    report_.outcome = outcome;
    EXPECT_FALSE(fits());
  }
}

TEST_F(PlausibleTest, ComparisonsAreThoseOfTheOutputs) {
  report_.comparisons[0].tensor = "x";
  EXPECT_FALSE(fits());
  report_.comparisons[0].tensor = "y";
  report_.comparisons.push_back(report_.comparisons[0]);
  EXPECT_FALSE(fits());
}

TEST_F(PlausibleTest, CountsAndIndicesLieInsideTheTensor) {
  report_.outcome = Outcome::wrong_output;
  comparison().elements = kJobElements + 1;
  EXPECT_FALSE(fits());
  comparison().elements = kJobElements;
  comparison().mismatches = 1;
  EXPECT_FALSE(fits()) << "a mismatch without a place";
  comparison().first = comparison().worst = ElementError{kJobElements, 1, 1};
  EXPECT_FALSE(fits()) << "a place outside";
  comparison().first = comparison().worst = ElementError{0, 1, 1};
  EXPECT_TRUE(fits());
  comparison().nonfinite_mismatches = 2;
  EXPECT_FALSE(fits());
  comparison().nonfinite_mismatches = 0;
  comparison().mismatches = kJobElements + 1;
  EXPECT_FALSE(fits());
}

TEST_F(PlausibleTest, TensorsComeOnlyWhenWantedAndWhole) {
  report_.outputs["y"] = std::string(4 * kJobElements, 'x');
  EXPECT_FALSE(fits());
  doubling_.job.want_outputs = true;
  EXPECT_TRUE(fits());
  report_.outputs["y"].pop_back();
  EXPECT_FALSE(fits());
  report_.outputs = {{"x", std::string(4 * kJobElements, 'x')}};
  EXPECT_FALSE(fits());
  report_.outputs = {{"../../etc", ""}};
  EXPECT_FALSE(fits());
  report_.outputs.clear();
  report_.expected["y"] = std::string(4 * kJobElements, 'x');
  EXPECT_FALSE(fits());
  doubling_.job.want_expected = true;
  report_.inputs["x"] = std::string(4 * kJobElements, 'x');
  EXPECT_TRUE(fits());
}

TEST_F(PlausibleTest, LaunchesAreThoseOfThePlan) {
  report_.launches.emplace_back();
  EXPECT_FALSE(fits());
  doubling_.job.candidate_plan.operations = {{Launch{}, {}, 0}, {Memset{}, {}, 0}};
  EXPECT_TRUE(fits());
  report_.launches.emplace_back();
  EXPECT_FALSE(fits());
}

}  // namespace
}  // namespace assay
