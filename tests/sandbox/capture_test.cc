#include "sandbox/capture.h"

#include <gtest/gtest.h>

namespace assay::sandbox {
namespace {

TEST(Capture, KeepsEverythingUpToItsLimit) {
  Capture capture(8);
  capture.add("abcd");
  capture.add("efgh");
  EXPECT_EQ(capture.text(), "abcdefgh");
  EXPECT_FALSE(capture.truncated());
}

TEST(Capture, KeepsFrontAndBackOfMore) {
  Capture capture(8);
  for (const char* part : {"abcd", "0123456789", "xy", "z!"}) capture.add(part);
  EXPECT_TRUE(capture.truncated());
  EXPECT_EQ(capture.text(), "abcd\n[... 10 bytes left out ...]\nxyz!");
  EXPECT_EQ(capture.seen_bytes(), 18u);
}

TEST(Capture, KeepsTheSameHoweverTheBytesArrive) {
  const std::string bytes(100'000, 'q');
  Capture at_once(1000), one_by_one(1000);
  at_once.add("<" + bytes + ">");
  one_by_one.add("<");
  for (const char byte : bytes) one_by_one.add({&byte, 1});
  one_by_one.add(">");
  EXPECT_EQ(at_once.text(), one_by_one.text());
}

TEST(Capture, KeepsNothingWithALimitOfZero) {
  Capture capture(0);
  capture.add("abc");
  EXPECT_EQ(capture.text(), "\n[... 3 bytes left out ...]\n");
}

}  // namespace
}  // namespace assay::sandbox
