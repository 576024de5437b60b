#include "reports/table.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Table, AlignsColumnsAndCutsTheLastToTheWidth) {
  Table table({"name", "count", "text"}, {false, true, false});
  table.add({"a", "5", "short"});
  table.add({"long name", "1234", "a sentence that is too long for the line"});
  EXPECT_EQ(table.text(36),
            "name       count  text\n"
            "a              5  short\n"
            "long name   1234  a sentence that...\n");
}

TEST(Table, ReplacesControlCharactersOfUntrustedCells) {
  Table table({"x"});
  table.add({"red\x1b[31m\n"});
  EXPECT_EQ(table.text(), "x\nred [31m \n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({"x", "y"});
  table.add({"é", "1"});
  EXPECT_EQ(table.text(), "x  y\né  1\n");
}

TEST(ShortCount, KeepsThreeDigits) {
  EXPECT_EQ(short_count(999), "999");
  EXPECT_EQ(short_count(1'234'567), "1.23 M");
}

TEST(ShortDuration, ChoosesTheUnit) {
  EXPECT_EQ(short_bytes(1000), "1000 B");
  EXPECT_EQ(short_bytes(12'345), "12.1 KiB");
  EXPECT_EQ(short_bytes(uint64_t{3} << 30), "3.0 GiB");
  EXPECT_EQ(short_duration(12.4), "12 ms");
  EXPECT_EQ(short_duration(3400), "3.4 s");
  EXPECT_EQ(short_duration(306'000), "5 min 6 s");
}

}  // namespace
}  // namespace assay
