#include "base/digest.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Sha256, MatchesTheStandardsExample) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, DistinguishesWhereFieldsEnd) {
  EXPECT_NE(Digest().add("ab").add("c").hex(), Digest().add("a").add("bc").hex());
  EXPECT_EQ(Digest().add("ab").add("c").hex(), Digest().add("ab").add("c").hex());
}

}  // namespace
}  // namespace assay
