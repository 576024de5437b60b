#include "agents/model/failure.h"

#include <gtest/gtest.h>

#include "agents/http/json.h"
#include "agents/model/concurrency.h"
#include "agents/model/prices.h"
#include "agents/model/retry.h"
#include "base/files.h"

namespace assay {
namespace {

ApiFailure classify(long status, const std::string& body,
                    const std::map<std::string, std::string>& headers = {}) {
  HttpResponse response;
  response.status = status;
  response.body = body;
  response.headers = headers;
  return classify_response(response, 1'000'000'000);
}

TEST(FailureTest, TellsWhatIsWorthAnotherAttempt) {
  struct Row {
    long status;
    const char* body;
    FailureClass expected;
  };
  const Row rows[] = {
      {429, R"({"error":{"type":"rate_limit_error","message":"slow"}})", FailureClass::rate_limit},
      {429, R"({"error":{"message":"You exceeded your quota","code":"insufficient_quota"}})",
       FailureClass::fatal_run},
      {429, R"({"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":
        [{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}]}]}})",
       FailureClass::fatal_run},
      {429, R"({"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[]}})",
       FailureClass::rate_limit},
      {400, R"({"error":{"code":"context_length_exceeded"}})", FailureClass::fail_sample},
      {413, R"({"type":"error","error":{"type":"request_too_large"}})", FailureClass::fail_sample},
      {401, R"({"error":"bad key"})", FailureClass::fatal_run},
      {402, "", FailureClass::fatal_run},
      {404, R"({"object":"error","message":"no such model","code":404})", FailureClass::fatal_run},
      {500, "<html>", FailureClass::retry},
      {503, R"({"error":{"code":503,"message":"Loading model"}})", FailureClass::retry},
      {529, R"({"type":"error","error":{"type":"overloaded_error"}})", FailureClass::retry},
      {302, "", FailureClass::fatal_run},
      {418, "", FailureClass::ambiguous},
  };
  for (const Row& row : rows)
    EXPECT_EQ(classify(row.status, row.body).failure, row.expected) << row.status << row.body;
}

TEST(FailureTest, BelievesTheServerAboutRetriesUnlessItIsFatal) {
  EXPECT_EQ(classify(400, "", {{"x-should-retry", "true"}}).failure, FailureClass::retry);
  EXPECT_EQ(classify(500, "", {{"x-should-retry", "false"}}).failure, FailureClass::fail_sample);
  EXPECT_EQ(
      classify(429, R"({"error":{"code":"insufficient_quota"}})", {{"x-should-retry", "true"}})
          .failure,
      FailureClass::fatal_run);
}

TEST(FailureTest, ReadsEverySpellingOfAWait) {
  EXPECT_EQ(parse_wait("30", 0), 30);
  EXPECT_EQ(parse_wait("1.5", 0), 1.5);
  EXPECT_EQ(parse_wait("6m0s", 0), 360);
  EXPECT_EQ(parse_wait("500ms", 0), 0.5);
  EXPECT_EQ(parse_wait("1h2m3.5s", 0), 3723.5);
  EXPECT_EQ(parse_wait("2001-09-09T01:46:50Z", 1'000'000'000), 10);
  EXPECT_EQ(parse_wait("2001-09-09T03:46:50.5+02:00", 1'000'000'000), 10.5);
  EXPECT_EQ(parse_wait("Sun, 09 Sep 2001 01:47:00 GMT", 1'000'000'000), 20);
  EXPECT_EQ(parse_wait("-5", 0), 0);
  EXPECT_FALSE(parse_wait("soon", 0));
  EXPECT_FALSE(parse_wait("", 0));
  EXPECT_FALSE(parse_wait("nan", 0));
}

TEST(FailureTest, TakesTheWaitsInTheirOrder) {
  EXPECT_EQ(classify(429, "", {{"retry-after-ms", "1500"}, {"retry-after", "9"}}).wait_seconds,
            1.5);
  EXPECT_EQ(classify(429, "", {{"retry-after", "9"}}).wait_seconds, 9);
  EXPECT_EQ(classify(429, R"({"error":{"details":[{"@type":"RetryInfo","retryDelay":"22s"}]}})")
                .wait_seconds,
            22);
  const ApiFailure failure = classify(
      429, "", {{"x-ratelimit-reset-requests", "6m0s"}, {"x-ratelimit-reset-tokens", "500ms"}});
  EXPECT_FALSE(failure.wait_seconds);
  EXPECT_EQ(failure.cooldown_seconds, 360);
}

TEST(RetryPolicyTest, CapsAttemptsWaitsAndTheirSum) {
  const RetryPolicy policy;
  ApiFailure failure;
  failure.failure = FailureClass::retry;
  EXPECT_EQ(policy.wait(failure, 1, 0, 0), 0.5);
  EXPECT_EQ(policy.wait(failure, 3, 0, 0), 2);
  EXPECT_FALSE(policy.wait(failure, policy.attempts, 0, 0));
  EXPECT_FALSE(policy.wait(failure, 1, policy.total_wait_seconds, 0));
  failure.wait_seconds = 12;
  EXPECT_EQ(policy.wait(failure, 1, 0, 0), 12);
  failure.wait_seconds = 100'000;
  EXPECT_FALSE(policy.wait(failure, 1, 0, 0));
  failure = {};
  failure.failure = FailureClass::fail_sample;
  EXPECT_FALSE(policy.wait(failure, 1, 0, 0));
}

TEST(AdaptiveLimitTest, DoublesWhileUsedAndCutsOnceAnEpisode) {
  AdaptiveLimit limit(20, 4, 100);
  limit.on_start(20);
  for (int i = 0; i < 20; ++i) limit.on_success(0, true);
  EXPECT_EQ(limit.limit(), 40);
  limit.on_start(10);  // far below the limit: no reason to grow
  for (int i = 0; i < 40; ++i) limit.on_success(1, true);
  EXPECT_EQ(limit.limit(), 40);
  limit.on_rate_limit(2, 0);
  EXPECT_EQ(limit.limit(), 32);
  limit.on_rate_limit(3, 60);
  EXPECT_EQ(limit.limit(), 32);
  EXPECT_TRUE(limit.cooling(62));
  limit.on_start(32);
  for (int i = 0; i < 32; ++i) limit.on_success(62, true);  // while cooling
  EXPECT_EQ(limit.limit(), 32);
  for (int i = 0; i < 32; ++i) limit.on_success(64, true);
  EXPECT_EQ(limit.limit(), 35);  // 5 %, rounded up to a multiple of five
  EXPECT_EQ(limit.last_change(), "steady_state_up");
}

TEST(PricesTest, FindsTheLongestPrefixAndNeverCallsUnknownZero) {
  const auto folder = *TemporaryFolder::create("prices");
  const auto file = folder.path() / "prices.toml";
  ASSERT_TRUE(write_file(file, R"(version = "1"
[[price]]
model = "big*"
input = 1
output = 2
[[price]]
model = "big-cheap*"
input = 0.5
output = 1
cache_read = 0.1
)")
                  .ok());
  const auto table = PriceTable::load(file);
  ASSERT_TRUE(table.ok()) << table.error().message;
  Usage usage;
  usage.input_uncached = 1'000'000;
  usage.input_cache_read = 1'000'000;
  usage.output_visible = 500'000;
  usage.output_reasoning = 500'000;
  EXPECT_DOUBLE_EQ(*cost_of(usage, table->find("big-cheap-2")), 0.5 + 0.1 + 1);
  EXPECT_DOUBLE_EQ(*cost_of(usage, table->find("big-1")), 1 + 1 + 2);
  EXPECT_FALSE(cost_of(usage, table->find("other")));
  EXPECT_FALSE(cost_of(Usage{}, table->find("big-1")));
  ASSERT_TRUE(write_file(file, "[[price]]\nmodel = 'x'\n").ok());
  EXPECT_FALSE(PriceTable::load(file).ok());
}

TEST(JsonTest, RefusesNestingThatWouldExhaustTheStack) {
  EXPECT_TRUE(parse_json(R"({"a":[1,2,"]]]]"]})").ok());
  EXPECT_FALSE(parse_json(std::string(100'000, '[')).ok());
  EXPECT_FALSE(parse_json("{\"a\":").ok());
}

}  // namespace
}  // namespace assay
