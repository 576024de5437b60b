// Every way in which host code can end without a plan has its reason and a sentence.
#include "tests/record/recorded.h"

namespace assay {
namespace {

struct FailureCase {
  const char* variant;
  const char* reason;
  const char* says;
};
class Failures : public testing::TestWithParam<FailureCase> {};

TEST_P(Failures, HaveAReasonAndASentence) {
  const RecordFailure failure = recorded::failure_of(GetParam().variant);
  EXPECT_EQ(failure.reason, GetParam().reason) << failure.explanation;
  EXPECT_NE(failure.explanation.find(GetParam().says), std::string::npos) << failure.explanation;
  EXPECT_EQ(failure.kind, RecordFailure::Kind::record_error);
}

INSTANTIATE_TEST_SUITE_P(
    All, Failures,
    testing::Values(
        FailureCase{"nothing", "no_operations", "without launching a kernel"},
        FailureCase{"reads_device_pointer", "host_read_back", "cannot be read from the host"},
        FailureCase{"writes_device_pointer", "host_write", "writes through a device pointer"},
        FailureCase{"copies_back", "host_read_back", "cudaMemcpyAsync copies device memory"},
        FailureCase{"copies_symbol_back", "host_read_back", "cudaMemcpyFromSymbol"},
        FailureCase{"managed", "unsupported_call", "cudaMallocManaged: host code never sees"},
        FailureCase{"pinned", "unsupported_call", "cudaMallocHost"},
        FailureCase{"graph", "unsupported_call", "cudaStreamBeginCapture: assay turns"},
        FailureCase{"set_limit", "unsupported_call", "cudaDeviceSetLimit"},
        FailureCase{"host_function", "unsupported_call", "cudaLaunchHostFunc"},
        FailureCase{"access_policy", "unsupported_call", "access policy windows"},
        FailureCase{"other_driver_function", "unsupported_call", "\"cuMemAlloc\""},
        FailureCase{"null_pointer", "crash", "null pointer"},
        FailureCase{"stack_overflow", "crash", "used up its stack"},
        FailureCase{"aborts", "crash", "abort()"}, FailureCase{"killed", "crash", "SIGSEGV"},
        FailureCase{"divides_by_zero", "crash", "divided an integer by zero"},
        FailureCase{"exits", "exit", "exit()"}, FailureCase{"exits_at_once", "exit", "status 0"},
        FailureCase{"throws", "exception", "no such size"},
        FailureCase{"throws_number", "exception", "not a std::exception"},
        FailureCase{"throws_from_noexcept", "exception", "inside noexcept"},
        FailureCase{"eats_memory", "memory", "memory"},
        FailureCase{"starts_thread", "unsupported_call", "threads"},
        FailureCase{"forks", "unsupported_call", "processes"},
        FailureCase{"floods", "plan_limits", "10000 launches"},
        FailureCase{"forges_recording", "bad_plan", "allocation 4000000000"},
        FailureCase{"forges_garbage", "bad_plan", "nested too deeply"},
        FailureCase{"forges_failure", "bad_plan", "wrote over its own recording"}),
    [](const auto& test) { return std::string(test.param.variant); });

TEST(Failures, EndlessLoopIsATimeoutWithinTheLimit) {
  const RecordOutcome outcome = recorded::record_variant("loops");
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->kind, RecordFailure::Kind::timeout);
  EXPECT_EQ(outcome.failure->reason, "record_time");
  EXPECT_LT(outcome.record_ms, 15'000);
}

TEST(Failures, OutputOfSolveIsKept) {
  const RecordOutcome outcome = recorded::record_variant("prints");
  EXPECT_TRUE(outcome.plan);
  EXPECT_NE(outcome.output.find("on stdout"), std::string::npos);
  EXPECT_NE(outcome.output.find("on stderr"), std::string::npos);
}

TEST(Failures, OutputBeforeAFailureIsKept) {
  EXPECT_EQ(recorded::record_variant("tensor_map_too_large").output, "encoded 0\n");
}

}  // namespace
}  // namespace assay
