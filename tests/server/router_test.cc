#include "server/router.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

/// Keeps the answer.
struct Kept : Exchange {
  ServerReply answer{0, "", "", {}};
  void reply(ServerReply one) override { answer = std::move(one); }
  void start_stream(ServerReply) override {}
  void write(std::string) override {}
  void end() override {}
  void on_gone(std::function<void()>) override {}
};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    const auto say = [](const char* word) {
      return [word](const Call& call) {
        call.exchange->reply({200, word + (call.parts.empty() ? "" : ":" + call.parts[0]), "", {}});
      };
    };
    router_.add({"GET", "/a/{x}", say("one")});
    router_.add({"GET", "/a/{x}/b", say("deep")});
    router_.add({"POST", "/any/*", say("any")});
    router_.add({"GET", "/throws", [](const Call&) { throw std::runtime_error("oops"); }});
  }
  std::string ask(const std::string& method, const std::string& path) {
    ServerRequest request;
    request.method = method;
    request.path = path;
    if (const auto refused = router_.admit(request)) return std::to_string(refused->status);
    const auto kept = std::make_shared<Kept>();
    router_.handle(request, kept);
    return kept->answer.status == 200 ? kept->answer.body : std::to_string(kept->answer.status);
  }

  Metrics metrics_;
  Router router_{Tokens(), 0, metrics_};
};

TEST_F(RouterTest, FindsTheRouteOfAPath) {
  EXPECT_EQ(ask("GET", "/a/7"), "one:7");
  EXPECT_EQ(ask("GET", "/a/7/b"), "deep:7");
  EXPECT_EQ(ask("POST", "/any"), "any");
  EXPECT_EQ(ask("POST", "/any/thing/at/all"), "any");
}

TEST_F(RouterTest, RefusesWhatIsNotThere) {
  EXPECT_EQ(ask("GET", "/a/"), "404");
  EXPECT_EQ(ask("GET", "/a"), "404");
  EXPECT_EQ(ask("GET", "/anything"), "404");
  EXPECT_EQ(ask("POST", "/anything"), "404");
  EXPECT_EQ(ask("POST", "/a/7"), "405");
  EXPECT_EQ(ask("GET", ""), "404");
}

TEST_F(RouterTest, SurvivesADefectInAnAnswer) { EXPECT_EQ(ask("GET", "/throws"), "500"); }

}  // namespace
}  // namespace assay
