#include "evaluator/timing/evidence_stopwatch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/check/fake_device.h"

namespace assay {
namespace {

std::string bytes_of(float value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Both sides have made eight calls with one input and one output of one element each.
class TwoSides : public Stopwatch {
 public:
  float candidate = -2, baseline = 2;  // outputs
  std::optional<uint32_t> wrong_call;  // of the candidate
  std::optional<TimingViolation> found;
  std::set<uint32_t> looked_at;

  Result<void> set_calls(Side, uint32_t) override { return {}; }
  uint32_t max_calls() const override { return 8; }
  Result<Burst> burst(Side, uint32_t) override { return Burst(); }
  Result<std::optional<TimingViolation>> verify(uint32_t, bool) override { return found; }
  Result<std::vector<std::string>> tensors(Side side, uint32_t, uint32_t call) override {
    looked_at.insert(call);
    if (side == Side::baseline) return std::vector{bytes_of(1), bytes_of(baseline)};
    return std::vector{bytes_of(1), bytes_of(call == wrong_call ? 3 : candidate)};
  }
  Result<std::optional<TimingViolation>> final_check() override {
    return std::optional<TimingViolation>();
  }
  void rest(double) override {}
};

class EvidenceStopwatchTest : public testing::Test {
 protected:
  EvidenceStopwatchTest() {
    BoundTensor x;
    x.name = "x";
    x.shape = {1};
    x.elements = 1;
    BoundTensor y = x;
    y.name = "y";
    y.direction = Direction::out;
    BoundTensor square = y;
    square.name = "square";
    square.tolerance = {1e-3, 0, std::nullopt};
    job_.bound.tensors = {x, y};
    job_.bound.evidence = {square};
    evidence_.key = "evidence";
    job_.evidence.artifact = &evidence_;
    device_.kernels["evidence"] = [](const FakeArguments& arguments, int) {
      const float output = *reinterpret_cast<const float*>(arguments[1]);
      *reinterpret_cast<float*>(arguments[2]) = output * output;
      return std::optional<Fault>();
    };
    EXPECT_TRUE(stopwatch_.set_calls(Side::baseline, 8).ok());
    EXPECT_TRUE(stopwatch_.set_calls(Side::candidate, 12).ok());
  }

  /// The reason, or empty.
  std::string verify() {
    const auto found = stopwatch_.verify(1, true);
    EXPECT_TRUE(found.ok()) << found.error().message;
    return *found ? (*found)->reason + ": " + (*found)->explanation : "";
  }

  FakeDevice device_;
  Artifact evidence_;
  TimeJob job_;
  TwoSides sides_;
  EvidenceStopwatch stopwatch_{sides_, device_, job_};
};

TEST_F(EvidenceStopwatchTest, AnotherRightAnswerPasses) { EXPECT_EQ(verify(), ""); }

TEST_F(EvidenceStopwatchTest, AWrongAnswerIsAMismatch) {
  sides_.candidate = -2.01f;
  EXPECT_EQ(verify().find("mismatch: in a timed call: evidence square"), 0u) << verify();
  sides_.candidate = std::nanf("");
  EXPECT_EQ(verify().find("mismatch"), 0u) << verify();
}

TEST_F(EvidenceStopwatchTest, ABoundOfTheWholeHoldsAsWell) {
  job_.bound.evidence[0].tolerance = {1, 0, 1e-3};
  sides_.candidate = std::sqrt(4.007f);
  EXPECT_EQ(verify(), "");
  sides_.candidate = std::sqrt(4.009f);
  EXPECT_NE(verify().find("Frobenius"), std::string::npos) << verify();
}

TEST_F(EvidenceStopwatchTest, TheBaselineMayBeOffAsWell) {
  sides_.candidate = std::sqrt(4.0009f);
  sides_.baseline = std::sqrt(3.9991f);
  EXPECT_EQ(verify(), "");
}

TEST_F(EvidenceStopwatchTest, LooksAtCallsOfBothSidesInASecretOrder) {
  sides_.wrong_call = 5;
  int caught = 0;
  for (int i = 0; i < 200; ++i) caught += !verify().empty();
  EXPECT_GT(caught, 0);
  EXPECT_LT(caught, 200);
  EXPECT_EQ(sides_.looked_at, (std::set<uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_F(EvidenceStopwatchTest, WhatTheDeviceFindsComesFirst) {
  sides_.found = TimingViolation{"mismatch", "output y"};
  EXPECT_EQ(verify(), "mismatch: output y");
  EXPECT_TRUE(device_.events.empty());
}

}  // namespace
}  // namespace assay
