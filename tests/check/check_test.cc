#include "evaluator/check/check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/check/fake_device.h"

namespace assay {
namespace {

constexpr size_t kElements = 1000;

/// y = 2 x on f32, with the candidate given as a C++ function.
class CheckTest : public testing::Test {
 protected:
  CheckTest() {
    BoundTensor x;
    x.name = "x";
    x.dtype = Dtype::f32;
    x.shape = {10, 100};
    x.elements = kElements;
    x.fill.kind = FillKind::normal;
    x.fill.elements = kElements;
    x.fill.b = 1;
    BoundTensor y = x;
    y.name = "y";
    y.direction = Direction::out;
    y.tolerance = {0, 1e-6, std::nullopt};
    job_.bound.task_id = "double";
    job_.bound.case_name = "tiny";
    job_.bound.tensors = {x, y};
    candidate_.key = "candidate";
    reference_.key = "reference";
    job_.candidate = &candidate_;
    job_.reference = &reference_;
    job_.seed = 42;
    device_.kernels["reference"] = doubled();
  }

  static FakeKernel doubled(size_t count = kElements, float factor = 2) {
    return [=](const FakeArguments& arguments, int) {
      const auto* x = reinterpret_cast<const float*>(arguments[0]);
      auto* y = reinterpret_cast<float*>(arguments[1]);
      for (size_t i = 0; i < count; ++i) y[i] = factor * x[i];
      return std::optional<Fault>();
    };
  }

  /// The correct kernel, followed by something.
  template <typename Then>
  static FakeKernel doubled_then(Then then) {
    return [=](const FakeArguments& arguments, int run) {
      doubled()(arguments, run);
      then(reinterpret_cast<float*>(arguments[0]), reinterpret_cast<float*>(arguments[1]), run);
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
  Artifact candidate_, reference_;
  CheckJob job_;
};

TEST_F(CheckTest, ACorrectCandidateIsCorrect) {
  const CheckReport report = check_candidate(doubled());
  EXPECT_EQ(report.outcome, Outcome::correct) << report.explanation;
  ASSERT_EQ(report.comparisons.size(), 1u);
  EXPECT_EQ(report.comparisons[0].comparison.elements, kElements);
}

TEST_F(CheckTest, TheReferenceRunsOnlyAfterAllRunsOfTheCandidate) {
  check_candidate(doubled());
  EXPECT_EQ(device_.events,
            (std::vector<std::string>{"run candidate", "reset", "run candidate", "run reference"}));
}

TEST_F(CheckTest, EachRunOfTheCandidateHasItsOwnOrderOfBlocks) {
  job_.repeats = 3;
  check_candidate(doubled());
  EXPECT_EQ(device_.schedule_seeds, (std::vector<uint32_t>{0, 1, 2, 0}));
}

TEST_F(CheckTest, AWrongElementIsAMismatchWithItsCoordinates) {
  const CheckReport report =
      check_candidate(doubled_then([](float*, float* y, int) { y[317] += 0.5f; }));
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_EQ(report.reason, "mismatch");
  EXPECT_NE(report.explanation.find("1 of 1000"), std::string::npos) << report.explanation;
  EXPECT_NE(report.explanation.find("[3, 17]"), std::string::npos) << report.explanation;
}

TEST_F(CheckTest, AnErrorJustInsideTheToleranceIsCorrectAndJustOutsideIsNot) {
  EXPECT_EQ(check_candidate(doubled(kElements, 2 * (1 + 0.8e-6f))).outcome, Outcome::correct);
  EXPECT_EQ(check_candidate(doubled(kElements, 2 * (1 + 1.3e-6f))).outcome, Outcome::wrong_output);
}

TEST_F(CheckTest, ATailThatIsNeverWrittenIsUnwritten) {
  const CheckReport report = check_candidate(doubled(kElements - 7));
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_EQ(report.reason, "unwritten");
  EXPECT_NE(report.explanation.find("7 of 1000"), std::string::npos) << report.explanation;
  EXPECT_NE(report.explanation.find("[9, 93]"), std::string::npos) << report.explanation;
}

TEST_F(CheckTest, AnOutputThatIsNeverWrittenSaysSo) {
  const CheckReport report = check_candidate(doubled(0));
  EXPECT_EQ(report.reason, "unwritten");
  EXPECT_NE(report.explanation.find("never written"), std::string::npos);
}

TEST_F(CheckTest, BytesThatHappenToEqualPoisonOnceAreNotUnwritten) {
  // With 8-bit elements every poison value occurs among honest outputs.
  for (BoundTensor& tensor : job_.bound.tensors) tensor.dtype = tensor.fill.dtype = Dtype::u8;
  job_.bound.tensors[0].fill.kind = FillKind::randint;
  job_.bound.tensors[0].fill.a = 0;
  job_.bound.tensors[0].fill.b = 256;
  job_.bound.tensors[1].tolerance = {};
  const FakeKernel copy = [](const FakeArguments& arguments, int) {
    std::memcpy(arguments[1], arguments[0], kElements);
    return std::optional<Fault>();
  };
  device_.kernels["reference"] = copy;
  EXPECT_EQ(check_candidate(copy).outcome, Outcome::correct);
}

TEST_F(CheckTest, RunsThatDifferAreNondeterministic) {
  const CheckReport report =
      check_candidate(doubled_then([](float*, float* y, int run) { y[5] += run == 1; }));
  EXPECT_EQ(report.outcome, Outcome::nondeterministic);
  EXPECT_EQ(report.reason, "repeat_differs");
}

TEST_F(CheckTest, RunsThatDifferWithinTheToleranceAreFine) {
  const CheckReport report = check_candidate(
      doubled_then([](float*, float* y, int run) { y[5] *= run == 1 ? 1 + 2e-7f : 1; }));
  EXPECT_EQ(report.outcome, Outcome::correct) << report.explanation;
}

TEST_F(CheckTest, ADifferenceInALaterRunCountsToo) {
  job_.repeats = 4;
  const auto report =
      check_candidate(doubled_then([](float*, float* y, int run) { y[5] += run == 3; }));
  EXPECT_EQ(report.reason, "repeat_differs");
  EXPECT_NE(report.explanation.find("1 of 1000 elements, the first at [0, 5]"), std::string::npos)
      << report.explanation;
}

TEST_F(CheckTest, AFaultInALaterRunSaysSo) {
  const CheckReport report = check_candidate([](const FakeArguments& arguments, int run) {
    Fault fault;
    fault.explanation = "what happened";
    return run == 0 ? doubled()(arguments, run) : std::optional<Fault>(fault);
  });
  EXPECT_EQ(report.outcome, Outcome::runtime_fault);
  EXPECT_EQ(report.explanation, "in a repeated run on the same input: what happened");
}

TEST_F(CheckTest, OneRunIsEnoughWhereNoMoreAreAskedFor) {
  job_.repeats = 1;
  EXPECT_EQ(check_candidate(doubled()).outcome, Outcome::correct);
  EXPECT_EQ(device_.events, (std::vector<std::string>{"run candidate", "run reference"}));
  // An unwritten element is not recognised as such, but it is NaN.
  EXPECT_EQ(check_candidate(doubled(kElements - 1)).reason, "mismatch");
}

TEST_F(CheckTest, NotesOfAllRunsAreKeptOnce) {
  device_.notes = {"of both"};
  const CheckReport report = check_candidate(doubled_then([this](float*, float*, int) {
    device_.notes = {"of both", "of the second"};
  }));
  EXPECT_EQ(report.notes, (std::vector<std::string>{"of both", "of the second"}));
}

TEST_F(CheckTest, ABlankOutputIsWrongEvenWithinTheTolerance) {
  job_.bound.tensors[1].tolerance = {1e6, 0, std::nullopt};
  const FakeKernel blank = [](const FakeArguments& arguments, int) {
    std::memset(arguments[1], 0, kElements * sizeof(float));
    return std::optional<Fault>();
  };
  const CheckReport report = check_candidate(blank);
  EXPECT_EQ(report.outcome, Outcome::wrong_output);
  EXPECT_NE(report.explanation.find("all zero"), std::string::npos) << report.explanation;
  device_.kernels["reference"] = blank;
  EXPECT_EQ(check_candidate(blank).outcome, Outcome::correct);
}

TEST_F(CheckTest, ExplanationsDoNotTellExpectedValuesOrTheSeed) {
  job_.seed = 123456789;
  device_.kernels["reference"] = [](const FakeArguments& arguments, int) {
    std::fill_n(reinterpret_cast<float*>(arguments[1]), kElements, 7654321.0f);
    return std::optional<Fault>();
  };
  for (const FakeKernel& kernel : {doubled(), doubled(10), doubled(kElements, 0)}) {
    const CheckReport report = check_candidate(kernel);
    EXPECT_EQ(report.outcome, Outcome::wrong_output);
    for (const char* secret : {"7654321", "7.65432", "123456789", "75bcd15"})
      EXPECT_EQ(report.explanation.find(secret), std::string::npos) << report.explanation;
    EXPECT_TRUE(report.expected.empty());
  }
}

/// The word that mix() maps to `x`.
uint64_t unmix(uint64_t x) {
  const auto undo_shift = [](uint64_t value, int shift) {
    uint64_t result = value;
    for (int done = shift; done < 64; done += shift) result = value ^ (result >> shift);
    return result;
  };
  const auto inverse = [](uint64_t odd) {
    uint64_t result = odd;
    for (int i = 0; i < 6; ++i) result *= 2 - odd * result;
    return result;
  };
  x = undo_shift(x, 31) * inverse(0x94d049bb133111ebull);
  x = undo_shift(x, 27) * inverse(0xbf58476d1ce4e5b9ull);
  return undo_shift(x, 30);
}

TEST_F(CheckTest, PoisonDoesNotTellTheSeed) {
  ASSERT_EQ(unmix(trusted::mix(987654321)), 987654321u);
  for (BoundTensor& tensor : job_.bound.tensors) tensor.dtype = tensor.fill.dtype = Dtype::i64;
  uint64_t poison = 0;
  check_candidate([&](const FakeArguments& arguments, int) {
    std::memcpy(&poison, arguments[1], sizeof poison);
    return std::optional<Fault>();
  });
  // Everything about poison is invertible but for two bits, so a kernel can know its key. Undo what
  // could have made the key from the seed, too.
  for (uint64_t low = 0; low < 2; ++low) {
    const uint64_t key = unmix(unmix((poison & ~uint64_t{1}) | low));
    for (uint64_t high = 0; high < 2; ++high)
      for (const uint64_t word : {key, key ^ high << 63})
        for (const uint64_t guess : {word, word >> 1, word << 1, unmix(word)})
          EXPECT_GT(std::max(guess, job_.seed) - std::min(guess, job_.seed), 16u);
  }
}

TEST_F(CheckTest, AWriteBesideABufferIsTampering) {
  for (const int offset : {-1, static_cast<int>(kElements)}) {
    const CheckReport report =
        check_candidate(doubled_then([=](float*, float* y, int) { y[offset] = 1; }));
    EXPECT_EQ(report.outcome, Outcome::tampered);
    EXPECT_EQ(report.reason, "red_zone");
    EXPECT_NE(report.explanation.find(offset < 0 ? "before y" : "after y"), std::string::npos)
        << report.explanation;
  }
}

TEST_F(CheckTest, AWriteBesideScratchIsTampering) {
  device_.scratch_damage = {0, 4, "scratch"};
  EXPECT_EQ(check_candidate(doubled()).reason, "red_zone");
}

TEST_F(CheckTest, AChangedInputIsTampering) {
  const CheckReport report = check_candidate(doubled_then([](float* x, float*, int) { x[0] = 0; }));
  EXPECT_EQ(report.outcome, Outcome::tampered);
  EXPECT_EQ(report.reason, "input_changed");
}

TEST_F(CheckTest, EachFaultHasItsOutcome) {
  const std::vector<std::tuple<Fault::Kind, Outcome, std::string>> rows = {
      {Fault::Kind::launch_failed, Outcome::launch_error, "launch_limits"},
      {Fault::Kind::illegal_address, Outcome::runtime_fault, "illegal_address"},
      {Fault::Kind::misaligned_address, Outcome::runtime_fault, "misaligned_address"},
      {Fault::Kind::trap, Outcome::runtime_fault, "trap"},
      {Fault::Kind::assertion, Outcome::runtime_fault, "assertion"},
      {Fault::Kind::divergent_barrier, Outcome::runtime_fault, "divergent_barrier"},
      {Fault::Kind::stack_overflow, Outcome::runtime_fault, "stack_overflow"},
      {Fault::Kind::shared_race, Outcome::nondeterministic, "shared_race"},
      {Fault::Kind::timeout, Outcome::timeout, "kernel_time"},
      {Fault::Kind::unsupported, Outcome::harness_error, "unsupported"},
  };
  for (const auto& [kind, outcome, reason] : rows) {
    const CheckReport report =
        check_candidate([kind = kind](const FakeArguments&, int) -> std::optional<Fault> {
          Fault fault;
          fault.kind = kind;
          fault.explanation = "what happened";
          fault.source_line = 12;
          return fault;
        });
    EXPECT_EQ(report.outcome, outcome) << reason;
    EXPECT_EQ(report.reason, reason);
    EXPECT_EQ(report.explanation, "what happened");
    EXPECT_EQ(report.source_line, 12u);
  }
}

TEST_F(CheckTest, CodeThatTheDeviceCannotRunIsOurTrouble) {
  candidate_.ptx = "unsupported";
  const CheckReport report = check_candidate(doubled());
  EXPECT_EQ(report.outcome, Outcome::harness_error);
  EXPECT_NE(report.explanation.find("frob"), std::string::npos);
}

TEST_F(CheckTest, AFaultOfTheReferenceIsOurTrouble) {
  device_.kernels["reference"] = [](const FakeArguments&, int) { return Fault{}; };
  device_.kernels["candidate"] = doubled();
  const auto report = check(device_, job_);
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.error().message.find("reference.cu of task double"), std::string::npos);
}

TEST_F(CheckTest, AnInoutTensorStartsFreshInEveryRun) {
  job_.bound.tensors[0].direction = Direction::inout;
  job_.bound.tensors.pop_back();
  const FakeKernel twice = [](const FakeArguments& arguments, int) {
    auto* x = reinterpret_cast<float*>(arguments[0]);
    for (size_t i = 0; i < kElements; ++i) x[i] *= 2;
    return std::optional<Fault>();
  };
  device_.kernels["reference"] = twice;
  EXPECT_EQ(check_candidate(twice).outcome, Outcome::correct);
}

TEST_F(CheckTest, ExpectedValuesAreReturnedOnlyWhenAskedFor) {
  EXPECT_TRUE(check_candidate(doubled()).expected.empty());
  job_.want_expected = job_.want_outputs = true;
  const CheckReport report = check_candidate(doubled());
  EXPECT_EQ(report.expected.at("y"), report.outputs.at("y"));
  EXPECT_EQ(report.inputs.at("x").size(), kElements * sizeof(float));
}

TEST_F(CheckTest, AnEmptyTensorIsCorrect) {
  for (BoundTensor& tensor : job_.bound.tensors) {
    tensor.shape = {0};
    tensor.elements = tensor.fill.elements = 0;
  }
  device_.kernels["reference"] = doubled(0);
  EXPECT_EQ(check_candidate(doubled(0)).outcome, Outcome::correct);
}

}  // namespace
}  // namespace assay
