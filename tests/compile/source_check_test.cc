#include "evaluator/compile/source_check.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

std::string reason(std::string_view source) {
  const auto failure = check_source(source);
  return failure ? failure->reason : "";
}

TEST(SourceCheckTest, AcceptsWellFormedUtf8) {
  EXPECT_EQ(reason("int x; // \xc3\xa4 \xe2\x82\xac \xf0\x9f\x99\x82\n"), "");
}

TEST(SourceCheckTest, RefusesMalformedUtf8) {
  for (const char* bytes : {"x\x80", "x\xc0\xaf", "x\xc3", "x\xe0\x80\xaf", "x\xed\xa0\x80",
                            "x\xf0\x80\x80\x80", "x\xf4\x90\x80\x80", "x\xf5\x80\x80\x80"})
    EXPECT_EQ(reason(bytes), "not_utf8");
  EXPECT_EQ(reason(std::string_view("a\0b", 3)), "not_utf8");
}

TEST(SourceCheckTest, KnowsTheLimits) {
  EXPECT_EQ(reason(std::string(kMaximumSourceBytes, 'x')), "");
  EXPECT_EQ(reason(std::string(kMaximumSourceBytes + 1, 'x')), "too_large");
  EXPECT_EQ(reason("\n \t"), "empty");
}

}  // namespace
}  // namespace assay
