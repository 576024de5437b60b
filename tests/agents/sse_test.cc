#include "agents/http/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace assay {
namespace {

/// The events of a text that arrives in portions of `portion` bytes.
std::vector<std::string> events(std::string_view text, size_t portion) {
  SseParser parser;
  std::vector<std::string> seen;
  for (size_t at = 0; at < text.size(); at += portion)
    EXPECT_TRUE(
        parser
            .feed(text.substr(at, portion),
                  [&](const SseEvent& event) { seen.push_back(event.name + "|" + event.data); })
            .ok());
  return seen;
}

TEST(SseTest, ReadsEveryLineEndAtEveryByteBoundary) {
  const std::string text =
      "\xEF\xBB\xBF: ping\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\nevent:b\rdata: x\r\r"
      "id: 7\nretry: 3\ndata\n\ndata:  y\xC3\xA9\n\nevent: nothing\n\ndata: cut off";
  const std::vector<std::string> expected = {"a|one\ntwo", "b|x", "|", "| y\xC3\xA9"};
  for (size_t portion = 1; portion <= text.size(); ++portion)
    EXPECT_EQ(events(text, portion), expected) << "portions of " << portion;
}

TEST(SseTest, RefusesAnEventLargerThanTheLimit) {
  SseParser parser(100);
  const auto ignore = [](const SseEvent&) {};
  EXPECT_TRUE(parser.feed("data: " + std::string(50, 'x') + "\n", ignore).ok());
  EXPECT_FALSE(parser.feed("data: " + std::string(60, 'x') + "\n", ignore).ok());
}

}  // namespace
}  // namespace assay
