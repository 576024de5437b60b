#include "tasks/nearest.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Nearest, DistanceCountsInsertionsDeletionsAndReplacements) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("abc", "abc"), 0u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance(std::string(1000, 'a'), std::string(1000, 'b')), 128u);
}

TEST(Nearest, ClosestComesFirstAndFarOnesAreLeftOut) {
  const std::vector<std::string> words = {"dtype", "direction", "shape", "name"};
  EXPECT_EQ(nearest("dtpye", words, 2), (std::vector<std::string>{"dtype"}));
  EXPECT_TRUE(nearest("zzzz", words, 2).empty());
  EXPECT_EQ(suggestion("shpe", words), "; did you mean shape?");
  EXPECT_EQ(suggestion("zzzz", words), "");
}

TEST(Nearest, QuotedTextIsShortAndPrintable) {
  EXPECT_EQ(in_quotes("a\n\"b\""), "\"a\\x0a\\\"b\\\"\"");
  EXPECT_LT(in_quotes(std::string(10000, 'x')).size(), 70u);
}

TEST(Nearest, Utf8IsCheckedStrictly) {
  EXPECT_TRUE(is_utf8("plain, ä, \xe2\x82\xac, \xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xff"));
  EXPECT_FALSE(is_utf8("\xc0\x80"));          // overlong
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xe2\x82"));          // cut
  EXPECT_FALSE(is_utf8(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace assay
