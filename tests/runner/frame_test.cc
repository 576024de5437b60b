#include "evaluator/runner/frame.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <thread>

namespace assay {
namespace {

using nlohmann::json;

class FrameTest : public testing::Test {
 protected:
  FrameTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0); }
  ~FrameTest() override {
    hang_up();
    close(ends_[1]);
  }

  void hang_up() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }

  /// Sends a length and bytes that need not belong together.
  void send_raw(uint32_t length, const std::string& bytes) {
    ASSERT_EQ(write(ends_[0], &length, 4), 4);
    ASSERT_EQ(write(ends_[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  Result<json> received(double seconds = 5, size_t limit_bytes = kMaxFrameBytes) {
    return receive_message(ends_[1], deadline_in(seconds), limit_bytes);
  }

  ErrorKind error_of_content(const std::string& content) {
    send_raw(static_cast<uint32_t>(content.size()), content);
    const auto message = received();
    EXPECT_FALSE(message.ok());
    return message.ok() ? ErrorKind::internal : message.error().kind;
  }

  int ends_[2];
};

TEST_F(FrameTest, CarriesAMessage) {
  const json message = {
      {"text", "x"}, {"list", {1, -2, 2.5, nullptr, true}}, {"bytes", json::binary({0, 255})}};
  ASSERT_TRUE(send_message(ends_[0], message).ok());
  const auto answer = received();
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(*answer, message);
}

TEST_F(FrameTest, CarriesMessagesLargerThanTheSocketsBuffer) {
  const json message = {{"bytes", json::binary(std::vector<uint8_t>(5'000'000, 7))}};
  std::jthread sender([&] { EXPECT_TRUE(send_message(ends_[0], message).ok()); });
  const auto answer = received();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*answer, message);
}

TEST_F(FrameTest, KeepsMessagesApart) {
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(send_message(ends_[0], {{"number", i}}).ok());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(received()->at("number"), i);
}

TEST_F(FrameTest, SilenceIsATimeout) { EXPECT_EQ(received(0.05).error().kind, ErrorKind::timeout); }

TEST_F(FrameTest, AnUnfinishedFrameIsATimeout) {
  send_raw(100, "half");
  EXPECT_EQ(received(0.05).error().kind, ErrorKind::timeout);
}

TEST_F(FrameTest, APeerThatGoesIsGone) {
  send_raw(100, "half");
  hang_up();
  EXPECT_EQ(received().error().kind, ErrorKind::io);
  EXPECT_EQ(send_message(ends_[1], {{"anybody", "there"}}).error().kind, ErrorKind::io);
}

TEST_F(FrameTest, APeerThatDoesNotReadIsATimeout) {
  const json message = {{"bytes", json::binary(std::vector<uint8_t>(5'000'000, 7))}};
  EXPECT_EQ(send_message(ends_[0], message, deadline_in(0.1)).error().kind, ErrorKind::timeout);
}

TEST_F(FrameTest, AFrameAboveTheLimitIsRefusedBeforeItIsRead) {
  send_raw(0xffffffff, "");
  const auto message = received();
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.error().kind, ErrorKind::invalid);
  EXPECT_NE(message.error().message.find("4294967295 bytes"), std::string::npos);
}

TEST_F(FrameTest, TheReaderSetsTheLimit) {
  ASSERT_TRUE(send_message(ends_[0], {{"text", std::string(100, 'x')}}).ok());
  EXPECT_EQ(received(5, 50).error().kind, ErrorKind::invalid);
}

TEST_F(FrameTest, DeepNestingIsRefused) {
  EXPECT_EQ(error_of_content(std::string(100'000, '\x81')), ErrorKind::invalid);
  std::string objects;
  for (int i = 0; i < 50'000; ++i) objects += "\xa1\x61k";
  EXPECT_EQ(error_of_content(objects), ErrorKind::invalid);
}

TEST_F(FrameTest, TooManyValuesAreRefused) {
  std::jthread sender([&] {
    std::string content = "\xa1\x61k\x9f" + std::string(2'000'000, '\xf6') + "\xff";
    const auto length = static_cast<uint32_t>(content.size());
    EXPECT_EQ(send(ends_[0], &length, 4, MSG_NOSIGNAL), 4);
    for (size_t sent = 0; sent < content.size();)
      sent += static_cast<size_t>(
          send(ends_[0], content.data() + sent, content.size() - sent, MSG_NOSIGNAL));
  });
  EXPECT_EQ(received().error().kind, ErrorKind::invalid);
}

TEST_F(FrameTest, OnlyAnObjectIsAMessage) {
  EXPECT_EQ(error_of_content("\x81\x01"), ErrorKind::invalid);
  EXPECT_EQ(error_of_content(""), ErrorKind::invalid);
  EXPECT_EQ(error_of_content("\xa0 and more"), ErrorKind::invalid);
}

TEST_F(FrameTest, ArbitraryBytesAreAnErrorOrAMessage) {
  EXPECT_TRUE(rc::check([&](const std::string& content) {
    send_raw(static_cast<uint32_t>(content.size()), content);
    const auto message = received();
    const bool right =
        message.ok() ? message->is_object() : message.error().kind == ErrorKind::invalid;
    RC_ASSERT(right);
  }));
}

TEST_F(FrameTest, AMessageWithOneWrongByteIsAnErrorOrAMessage) {
  const std::vector<uint8_t> good = json::to_cbor(
      {{"text", "some text"}, {"list", {1, 2.5, {{"deep", true}}}}, {"bytes", json::binary({1})}});
  EXPECT_TRUE(rc::check([&](uint8_t byte) {
    std::string content(good.begin(), good.end());
    content[*rc::gen::inRange<size_t>(0, content.size())] = static_cast<char>(byte);
    send_raw(static_cast<uint32_t>(content.size()), content);
    const auto message = received();
    const bool right = message.ok() || message.error().kind == ErrorKind::invalid;
    RC_ASSERT(right);
  }));
}

TEST(Deadline, ToleratesAnyNumberOfSeconds) {
  const Deadline now = std::chrono::steady_clock::now();
  for (const double seconds : {1e300, std::nan(""), 1.0}) EXPECT_GT(deadline_in(seconds), now);
  EXPECT_LT(deadline_in(-1e300), now + std::chrono::seconds(1));
}

}  // namespace
}  // namespace assay
