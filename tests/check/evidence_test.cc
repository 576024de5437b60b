// Outputs that are judged by evidence: y = 2 x or -2 x on f32, as the candidate likes, with y * y
// as the evidence and kernels as C++ functions.
#include "evaluator/check/evidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "evaluator/check/check.h"
#include "tests/check/fake_device.h"

namespace assay {
namespace {

constexpr size_t kElements = 100;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class EvidenceTest : public testing::Test {
 protected:
  EvidenceTest() {
    BoundTensor x;
    x.name = "x";
    x.dtype = Dtype::f32;
    x.shape = {kElements};
    x.elements = kElements;
    x.fill.kind = FillKind::normal;
    x.fill.elements = kElements;
    x.fill.b = 1;
    BoundTensor y = x;
    y.name = "y";
    y.direction = Direction::out;
    y.tolerance = {std::numeric_limits<double>::infinity(), 0, std::nullopt};
    BoundTensor square = y;
    square.name = "square";
    square.tolerance = {0, 1e-5, std::nullopt};
    job_.bound.tensors = {x, y};
    job_.bound.evidence = {square};
    candidate_.key = "candidate";
    reference_.key = "reference";
    evidence_.key = "evidence";
    job_.candidate = &candidate_;
    job_.reference = &reference_;
    job_.evidence.artifact = &evidence_;
    device_.kernels["reference"] = times([](int) { return 2.0f; });
    device_.kernels["evidence"] = squares();
  }

  /// y = factor(run) * x.
  template <typename Factor>
  static FakeKernel times(Factor factor) {
    return [=](const FakeArguments& arguments, int run) {
      const auto* x = reinterpret_cast<const float*>(arguments[0]);
      auto* y = reinterpret_cast<float*>(arguments[1]);
      for (size_t i = 0; i < kElements; ++i) y[i] = factor(run) * x[i];
      return std::optional<Fault>();
    };
  }
  static FakeKernel squares() {
    return [](const FakeArguments& arguments, int) {
      const auto* y = reinterpret_cast<const float*>(arguments[1]);
      auto* square = reinterpret_cast<float*>(arguments[2]);
      for (size_t i = 0; i < kElements; ++i) square[i] = y[i] * y[i];
      return std::optional<Fault>();
    };
  }

  CheckReport check_candidate(FakeKernel kernel) {
    device_.kernels["candidate"] = std::move(kernel);
    Result<CheckReport> report = check(device_, job_);
    EXPECT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(device_.live_buffers(), 0u);
    return *std::move(report);
  }

  FakeDevice device_;
  Artifact candidate_, reference_, evidence_;
  CheckJob job_;
};

TEST_F(EvidenceTest, AnotherRightAnswerIsCorrect) {
  const CheckReport report = check_candidate(times([](int) { return -2.0f; }));
  EXPECT_EQ(report.outcome, Outcome::correct) << report.explanation;
  ASSERT_EQ(report.comparisons.size(), 2u);
  EXPECT_EQ(report.comparisons[0].tensor, "y");
  EXPECT_EQ(report.comparisons[1].tensor, "square");
}

TEST_F(EvidenceTest, AnotherRightAnswerInEachRunIsCorrect) {
  job_.repeats = 4;
  const CheckReport report =
      check_candidate(times([](int run) { return run % 3 == 0 ? 2.0f : -2.0f; }));
  EXPECT_EQ(report.outcome, Outcome::correct) << report.explanation;
}

TEST_F(EvidenceTest, AWrongAnswerShowsInTheEvidence) {
  const CheckReport report = check_candidate(times([](int) { return -2.001f; }));
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_EQ(report.reason, "mismatch");
  EXPECT_NE(report.explanation.find("evidence square: 100 of 100"), std::string::npos)
      << report.explanation;
}

TEST_F(EvidenceTest, AWrongAnswerInAnyRepeatedRunIsNondeterministic) {
  job_.repeats = 4;
  for (int wrong = 1; wrong < job_.repeats; ++wrong) {
    const CheckReport report =
        check_candidate(times([=](int run) { return run == wrong ? -2.001f : 2.0f; }));
    EXPECT_EQ(report.outcome, Outcome::nondeterministic) << "run " << wrong;
    EXPECT_NE(report.explanation.find("evidence square"), std::string::npos) << report.explanation;
  }
}

TEST_F(EvidenceTest, OutputsMustBeFiniteEvenWhereTheEvidenceIsBlindToThem) {
  const FakeKernel good = squares();
  device_.kernels["evidence"] = [=](const FakeArguments& arguments, int run) {
    auto* y = reinterpret_cast<float*>(arguments[1]);
    if (!std::isfinite(y[7])) y[7] = 2 * reinterpret_cast<const float*>(arguments[0])[7];
    return good(arguments, run);
  };
  for (const float value : {kNaN, std::numeric_limits<float>::infinity()}) {
    const CheckReport report = check_candidate([=](const FakeArguments& arguments, int run) {
      times([](int) { return 2.0f; })(arguments, run);
      reinterpret_cast<float*>(arguments[1])[7] = value;
      return std::optional<Fault>();
    });
    EXPECT_EQ(report.outcome, Outcome::wrong_output) << value;
    EXPECT_NE(report.explanation.find("output y: 1 of 100"), std::string::npos)
        << report.explanation;
  }
}

TEST_F(EvidenceTest, NaNInTheEvidenceIsWrong) {
  const CheckReport report = check_candidate(times([](int) { return 1e30f; }));
  EXPECT_EQ(report.outcome, Outcome::wrong_output) << report.explanation;
}

TEST_F(EvidenceTest, OutputsThatAreNeverWrittenOrBlankAreWrong) {
  EXPECT_EQ(
      check_candidate([](const FakeArguments&, int) { return std::optional<Fault>(); }).reason,
      "unwritten");
  job_.bound.evidence[0].tolerance = {1e9, 0, std::nullopt};  // an evidence that says nothing
  const CheckReport report = check_candidate(times([](int) { return 0.0f; }));
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_NE(report.explanation.find("all zero"), std::string::npos) << report.explanation;
}

TEST_F(EvidenceTest, WhatTheEvidenceLeavesUnwrittenIsNoEvidence) {
  device_.kernels["evidence"] = [](const FakeArguments& arguments, int) {
    const auto* square = reinterpret_cast<const float*>(arguments[2]);
    for (size_t i = 0; i < kElements; ++i) EXPECT_NE(square[i], 0);
    return std::optional<Fault>();
  };
  check_candidate(times([](int) { return 2.0f; }));
}

TEST_F(EvidenceTest, NothingExpectedExistsWhileTheCandidateRuns) {
  check_candidate(times([](int) { return -2.0f; }));
  EXPECT_EQ(device_.events,
            (std::vector<std::string>{"run candidate", "reset", "run candidate", "run evidence",
                                      "run evidence", "run reference", "run evidence"}));
}

TEST_F(EvidenceTest, BytesAreKeptWhereTheyAreWanted) {
  job_.want_outputs = job_.want_expected = true;
  const CheckReport report = check_candidate(times([](int) { return -2.0f; }));
  EXPECT_EQ(report.outputs.at("square"), report.expected.at("square"));
  EXPECT_NE(report.outputs.at("y"), report.expected.at("y"));
}

TEST_F(EvidenceTest, TroubleWithTheEvidenceIsOurs) {
  device_.kernels["candidate"] = times([](int) { return 2.0f; });
  device_.kernels["evidence"] = [](const FakeArguments&, int) {
    Fault fault;
    fault.explanation = "reads past the end";
    return std::optional<Fault>(fault);
  };
  const Result<CheckReport> faulty = check(device_, job_);
  ASSERT_FALSE(faulty.ok());
  EXPECT_NE(faulty.error().message.find("evidence.cu"), std::string::npos);
  job_.evidence.artifact = nullptr;
  EXPECT_FALSE(check(device_, job_).ok());
}

}  // namespace
}  // namespace assay
