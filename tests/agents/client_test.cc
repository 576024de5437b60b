// The client against a server that plays answers and faults.
#include "agents/model/client.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <future>

#include "base/files.h"
#include "tests/agents/scripted_server.h"

namespace assay {
namespace {

constexpr const char* kChat =
    R"({"id":"c","model":"m-2","choices":[{"index":0,"message":{"content":"hello"},)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":1000000,"completion_tokens":500000}})";

std::string chat_stream() {
  return "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel\"}}]}\n\n"
         "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":"
         "\"stop\"}]}\n\ndata: [DONE]\n\n";
}

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    setenv("ASSAY_TEST_KEY", "secret-key-1", 1);
    config_.protocol = "openai-chat";
    config_.model = "m";
    config_.key_env = "ASSAY_TEST_KEY";
    config_.stream = false;
    options_.retry.first_wait_seconds = 0.01;
  }

  std::unique_ptr<ModelClient> client(const ScriptedServer& server) {
    config_.base_url = server.url() + "/v1/";
    auto made = ModelClient::create(loop_, config_, options_);
    EXPECT_TRUE(made.ok()) << made.error().message;
    return *std::move(made);
  }

  static Generation ask(Agent& agent, int sample = 0) {
    std::promise<Generation> promise;
    GenerationRequest request;
    request.sample = sample;
    request.system = "S";
    request.messages = {{Speaker::user, "U"}};
    agent.generate(request, [&](Generation generation) { promise.set_value(generation); });
    return promise.get_future().get();
  }

  std::shared_ptr<HttpLoop> loop_ = std::make_shared<HttpLoop>();
  ModelConfig config_;
  ClientOptions options_;
};

TEST_F(ClientTest, AsksOnceAndReadsTheAnswer) {
  options_.price = Price{"m", 2, 10, 2, 2};
  const ScriptedServer server({Scripted::answer(200, kChat, {"X-Request-Id: r-7"})});
  const Generation generation = ask(*client(server));
  ASSERT_FALSE(generation.failure) << generation.failure->message;
  EXPECT_EQ(generation.answer.text, "hello");
  EXPECT_EQ(generation.served_model, "m-2");
  EXPECT_DOUBLE_EQ(*generation.cost_dollars, 2 + 5);
  ASSERT_EQ(generation.attempts.size(), 1u);
  EXPECT_EQ(generation.attempts[0].request_id, "r-7");
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].target, "/v1/chat/completions");
  EXPECT_EQ(requests[0].headers.at("authorization"), "Bearer secret-key-1");
  EXPECT_EQ(requests[0].body, generation.request_body);
  EXPECT_EQ(generation.request_body.find("secret"), std::string::npos);
}

TEST_F(ClientTest, ReadsAStreamInPortionsOfOneByte) {
  config_.stream = true;
  const ScriptedServer server({Scripted::stream(chat_stream(), 1)});
  const Generation generation = ask(*client(server));
  ASSERT_FALSE(generation.failure) << generation.failure->message;
  EXPECT_EQ(generation.answer.text, "hello");
}

TEST_F(ClientTest, TriesAgainAfterEveryFaultOfTheInfrastructure) {
  config_.stream = true;
  Scripted reset = Scripted::stream("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":");
  reset.end = Scripted::End::reset;
  Scripted nothing;
  nothing.end = Scripted::End::reset;
  const ScriptedServer server(
      {Scripted::answer(429, R"({"error":{"code":"rate_limit_exceeded"}})",
                        {"Retry-After-Ms: 20", "Retry-After: 3600"}),
       Scripted::answer(429, "", {"retry-after: 0.01"}), Scripted::answer(500, "oops"),
       Scripted::answer(529, R"({"type":"error","error":{"type":"overloaded_error"}})"), reset,
       nothing, Scripted::stream("data: {\"choices\""), Scripted::stream("data: garbage\n\n"),
       Scripted::stream("data: {\"error\":{\"type\":\"server_error\",\"message\":\"x\"}}\n\n"),
       Scripted::stream(chat_stream())});
  options_.retry.attempts = 20;
  options_.retry.longest_wait_seconds = 0.02;
  std::vector<std::string> changes;  // written on the loop's thread, before the answer comes
  options_.log = [&changes](const std::string& change) { changes.push_back(change); };
  const auto agent = client(server);
  const Generation generation = ask(*agent);
  ASSERT_FALSE(generation.failure) << generation.failure->message;
  EXPECT_EQ(generation.answer.text, "hello");
  EXPECT_EQ(generation.attempts.size(), 10u);
  EXPECT_EQ(changes, std::vector<std::string>{agent->name() +
                                              ": 16 requests at once instead of 20 (rate_limit)"});
  EXPECT_EQ(agent->status().rate_limits, 2);
  EXPECT_GT(generation.waiting_seconds, 0.02);
}

TEST_F(ClientTest, AnExhaustedQuotaEndsEveryCallAtOnce) {
  const ScriptedServer server(
      {Scripted::answer(429, R"({"error":{"code":"insufficient_quota","message":"no money"}})")});
  const auto agent = client(server);
  const Generation first = ask(*agent);
  ASSERT_TRUE(first.failure);
  EXPECT_EQ(first.failure->failure, FailureClass::fatal_run);
  EXPECT_EQ(first.failure->message, "no money");
  EXPECT_TRUE(ask(*agent).failure);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(ClientTest, KeepsTheKeyOutOfWhatAServerSaysAboutIt) {
  const ScriptedServer server(
      {Scripted::answer(401, R"({"error":{"message":"wrong key: secret-key-1"}})")});
  const Generation generation = ask(*client(server));
  ASSERT_TRUE(generation.failure);
  EXPECT_EQ(generation.failure->message, "wrong key: [key]");
}

TEST_F(ClientTest, DoesNotFollowARedirectToAnotherHost) {
  const ScriptedServer elsewhere({Scripted::answer(200, kChat)});
  const ScriptedServer server({Scripted::answer(307, "", {"Location: " + elsewhere.url() + "/x"})});
  const Generation generation = ask(*client(server));
  ASSERT_TRUE(generation.failure);
  EXPECT_EQ(generation.failure->failure, FailureClass::fatal_run);
  EXPECT_NE(generation.failure->message.find("redirects"), std::string::npos);
  EXPECT_TRUE(elsewhere.requests().empty());
}

TEST_F(ClientTest, EndsAnAnswerThatDoesNotEnd) {
  config_.stream = true;
  options_.limits.max_body_bytes = 1 << 20;
  options_.retry.ambiguous_attempts = 1;
  Scripted endless = Scripted::stream(": " + std::string(1 << 16, 'x') + "\n");
  endless.endless = 8 << 20;
  const ScriptedServer server({endless});
  const Generation generation = ask(*client(server));
  ASSERT_TRUE(generation.failure);
  EXPECT_EQ(generation.failure->failure, FailureClass::ambiguous);
  EXPECT_EQ(generation.failure->code, "too_large");
}

TEST_F(ClientTest, GivesUpOnAStreamThatHangs) {
  config_.stream = true;
  options_.limits.idle_seconds = 0.1;
  options_.retry.attempts = 1;
  Scripted hang = Scripted::stream("data: {\"choices\":[]}\n\n");
  hang.end = Scripted::End::hang;
  const ScriptedServer server({hang});
  const Generation generation = ask(*client(server));
  ASSERT_TRUE(generation.failure);
  EXPECT_EQ(generation.failure->code, "timeout");
}

TEST_F(ClientTest, AnswersFromTheCacheCostNothingAndStayApart) {
  const auto folder = *TemporaryFolder::create("response-cache");
  options_.cache = std::make_shared<ResponseCache>(folder.path());
  options_.price = Price{"m", 2, 10, 2, 2};
  const ScriptedServer server({Scripted::answer(200, kChat)});
  EXPECT_FALSE(ask(*client(server), 0).cached);
  const Generation again = ask(*client(server), 0);
  EXPECT_TRUE(again.cached);
  EXPECT_EQ(again.answer.text, "hello");
  EXPECT_EQ(again.cost_dollars, 0);
  EXPECT_EQ(again.usage.output_visible, 500'000);
  EXPECT_FALSE(ask(*client(server), 1).cached);
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(ClientTest, AsksOneByOneForChoicesThatAServerLeavesOut) {
  config_.samples_per_request = 4;
  options_.start_connections = 1;
  const ScriptedServer server({Scripted::answer(200, kChat)});
  const auto agent = client(server);
  std::vector<std::promise<Generation>> promises(5);
  for (int i = 0; i < 5; ++i) {
    GenerationRequest request;
    request.sample = i;
    request.messages = {{Speaker::user, "U"}};
    agent->generate(request, [&, i](Generation generation) {
      promises[static_cast<size_t>(i)].set_value(std::move(generation));
    });
  }
  for (auto& promise : promises) EXPECT_EQ(promise.get_future().get().answer.text, "hello");
  bool shared = false;
  for (const SeenRequest& request : server.requests())
    shared = shared || request.body.find("\"n\":4") != std::string::npos;
  EXPECT_TRUE(shared);
  EXPECT_EQ(server.requests().size(), 5u);  // one alone, one for four, three that were left out
}

TEST_F(ClientTest, CancellingEndsWhatIsInFlightAndWhatWaits) {
  Scripted hang;
  hang.end = Scripted::End::hang;
  const ScriptedServer server({hang});
  const auto agent = client(server);
  std::promise<Generation> promise;
  agent->generate({}, [&](Generation generation) { promise.set_value(generation); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  agent->cancel();
  EXPECT_EQ(promise.get_future().get().failure->failure, FailureClass::cancelled);
}

/// A variable of the environment while a test runs.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    setenv(name, value.c_str(), 1);
  }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST_F(ClientTest, GoesThroughTheProxyOfTheEnvironment) {
  const ScriptedServer proxy({Scripted::answer(200, kChat)});
  const Variable variable("http_proxy", proxy.url());
  config_.base_url = "http://model.invalid/v1";
  const auto agent = ModelClient::create(loop_, config_, options_);
  const Generation generation = ask(**agent);
  ASSERT_FALSE(generation.failure) << generation.failure->message;
  EXPECT_EQ(proxy.requests().at(0).target, "http://model.invalid/v1/chat/completions");
}

TEST_F(ClientTest, GoesPastTheProxyWhereTheEnvironmentSaysSo) {
  const ScriptedServer proxy({Scripted::answer(200, "{}")});
  const ScriptedServer server({Scripted::answer(200, kChat)});
  const Variable variable("http_proxy", proxy.url()), exception("no_proxy", "127.0.0.1");
  EXPECT_FALSE(ask(*client(server)).failure);
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_TRUE(proxy.requests().empty());
}

TEST_F(ClientTest, RefusesWhatTheModelIsKnownToRefuse) {
  config_.protocol = "anthropic";
  config_.model = "claude-opus-4-7";
  config_.sampling.temperature = 0.5;
  const auto made = ModelClient::create(loop_, config_, options_);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("--temperature"), std::string::npos) << made.error().message;
}

TEST_F(ClientTest, SaysWhichKeyIsMissingAndNeverShowsOne) {
  config_.key_env = "ASSAY_NO_SUCH_KEY";
  const auto missing = ModelClient::create(loop_, config_, options_);
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("ASSAY_NO_SUCH_KEY"), std::string::npos);
  setenv("ASSAY_NO_SUCH_KEY", "abc\r\nX-Evil: 1", 1);
  const auto evil = ModelClient::create(loop_, config_, options_);
  unsetenv("ASSAY_NO_SUCH_KEY");
  ASSERT_FALSE(evil.ok());
  EXPECT_EQ(evil.error().message.find("Evil"), std::string::npos);
}

}  // namespace
}  // namespace assay
