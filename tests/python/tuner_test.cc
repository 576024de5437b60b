// How configurations of triton.autotune are chosen: recordings and costs are made up.
#include "evaluator/triton/tuner.h"

#include <gmock/gmock.h>

#include <map>
#include <mutex>

namespace assay::triton {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Choice = std::vector<uint32_t>;

Tuner tuner(const std::string& kernel, size_t configurations) {
  Tuner tuner{kernel, {}};
  for (size_t i = 0; i < configurations; ++i)
    tuner.configurations.push_back("configuration " + std::to_string(i));
  return tuner;
}

RecordFailure failed(RecordFailure::Kind kind, const std::string& explanation) {
  return {kind, "made_up", explanation};
}

class TunerTest : public ::testing::Test {
 protected:
  /// The recording of a choice; what was chosen is in its output.
  Recorded recording(const Choice& choice) {
    const std::lock_guard lock(mutex_);
    recorded_.push_back(choice);
    Recorded recorded;
    recorded.tuners = tuners_;
    for (const uint32_t number : choice) recorded.outcome.output += std::to_string(number);
    if (const auto failure = failures_.find(choice); failure != failures_.end())
      recorded.outcome.failure = failure->second;
    else
      recorded.outcome.plan.emplace();
    return recorded;
  }

  Tuned tune(const TuningLimits& limits = {}) {
    auto tuned = triton::tune(
        recording({}), [this](const Choice& choice) { return Result<Recorded>(recording(choice)); },
        [this](const Recorded& recorded) -> Result<std::optional<double>> {
          const auto cost = costs_.find(recorded.outcome.output);
          return cost == costs_.end() ? std::optional<double>() : cost->second;
        },
        limits);
    EXPECT_TRUE(tuned.ok());
    return *std::move(tuned);
  }

  std::vector<Tuner> tuners_;
  std::map<Choice, RecordFailure> failures_;
  std::map<std::string, double> costs_;  // by the choice's digits
  std::vector<Choice> recorded_;
  std::mutex mutex_;
};

TEST_F(TunerTest, WithoutTunersThereIsNothingToChoose) {
  const Tuned tuned = tune();
  EXPECT_TRUE(tuned.choices.empty());
  EXPECT_THAT(recorded_, ElementsAre(Choice{}));
}

TEST_F(TunerTest, TheCheapestIsTaken) {
  tuners_ = {tuner("add", 3)};
  costs_ = {{"", 5}, {"1", 2}, {"2", 3}};
  const Tuned tuned = tune();
  EXPECT_EQ(tuned.recorded.outcome.output, "1");
  EXPECT_THAT(tuned.choices, ElementsAre("autotuned add: configuration 1 (3 of 3 configurations "
                                         "tried, 0 failed)"));
}

TEST_F(TunerTest, KernelsAreTunedOneAfterAnother) {
  tuners_ = {tuner("first", 2), tuner("second", 3)};
  costs_ = {{"", 5}, {"1", 4}, {"11", 6}, {"12", 3}};
  const Tuned tuned = tune();
  EXPECT_EQ(tuned.recorded.outcome.output, "12");
  EXPECT_THAT(recorded_, ElementsAre(Choice{}, Choice{1}, Choice{1, 1}, Choice{1, 2}));
}

TEST_F(TunerTest, OnesThatFailAreLeftOut) {
  tuners_ = {tuner("add", 4)};
  failures_ = {{{}, failed(RecordFailure::Kind::compile_error, "first")},
               {{2}, failed(RecordFailure::Kind::launch_error, "third")}};
  costs_ = {{"3", 7}};  // the second one faults
  const Tuned tuned = tune();
  EXPECT_EQ(tuned.recorded.outcome.output, "3");
  EXPECT_THAT(tuned.choices.at(0), HasSubstr("3 failed"));
}

TEST_F(TunerTest, WhereAllFailItIsTheFirstOnesFailure) {
  tuners_ = {tuner("add", 2)};
  failures_ = {{{}, failed(RecordFailure::Kind::compile_error, "first")},
               {{1}, failed(RecordFailure::Kind::compile_error, "second")}};
  EXPECT_EQ(tune().recorded.outcome.failure->explanation, "first");
}

TEST_F(TunerTest, WhereNothingRunsTheCheckSaysWhy) {
  tuners_ = {tuner("add", 2)};
  failures_ = {{{}, failed(RecordFailure::Kind::compile_error, "first")}};
  EXPECT_TRUE(tune().recorded.outcome.plan);
}

TEST_F(TunerTest, AFailureThatIsNoConfigurationsFaultEndsTheCase) {
  tuners_ = {tuner("add", 3), tuner("later", 2)};
  failures_ = {{{1}, failed(RecordFailure::Kind::rejected, "calls torch")}};
  costs_ = {{"", 1}, {"2", 1}};
  const Tuned tuned = tune();
  EXPECT_EQ(tuned.recorded.outcome.failure->explanation, "calls torch");
  EXPECT_EQ(tuned.choices.size(), 1u);
}

TEST_F(TunerTest, RecordingsAndTimeAreLimited) {
  tuners_ = {tuner("add", 32), tuner("more", 32), tuner("most", 32)};
  costs_ = {{"", 1}};
  TuningLimits limits;
  limits.recordings = 40;
  limits.at_once = 4;
  EXPECT_THAT(tune(limits).choices.at(1), HasSubstr("(9 of 32"));
  EXPECT_EQ(recorded_.size(), 40u);
  recorded_.clear();
  limits.wall = std::chrono::seconds(0);
  EXPECT_THAT(tune(limits).choices.at(0), HasSubstr("(1 of 32"));
  EXPECT_EQ(recorded_.size(), 1u);
}

}  // namespace
}  // namespace assay::triton
