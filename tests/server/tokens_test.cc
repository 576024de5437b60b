#include "server/tokens.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace assay {
namespace {

Result<Tokens> tokens(const std::string& text) {
  static const TemporaryFolder folder = *TemporaryFolder::create("assay-tokens");
  EXPECT_TRUE(write_file(folder.path() / "tokens", text).ok());
  return Tokens::load(folder.path() / "tokens");
}

TEST(TokensTest, KnowItsClients) {
  const auto known = tokens("# comment\n\nalice 0123456789abcdef\nbob fedcba9876543210\n");
  ASSERT_TRUE(known.ok());
  EXPECT_EQ(known->client_of("Bearer 0123456789abcdef"), "alice");
  EXPECT_EQ(known->client_of("Bearer fedcba9876543210"), "bob");
  EXPECT_EQ(known->client_of("Basic dXNlcjpmZWRjYmE5ODc2NTQzMjEw"), "bob");  // user:...
  for (const char* wrong : {"", "Bearer ", "Bearer 0123456789abcde", "0123456789abcdef",
                            "Basic !!!!", "Basic dXNlcg==", "bearer 0123456789abcdef"})
    EXPECT_FALSE(known->client_of(wrong)) << wrong;
}

TEST(TokensTest, WithoutAnyEverybodyMay) { EXPECT_EQ(Tokens().client_of(""), ""); }

TEST(TokensTest, SayWhichLineIsWrong) {
  EXPECT_NE(tokens("alice short\n").error().message.find(":1:"), std::string::npos);
  EXPECT_NE(tokens("\nalice\n").error().message.find(":2: must be NAME TOKEN"), std::string::npos);
  EXPECT_FALSE(tokens("a 0123456789abcdef extra\n").ok());
  EXPECT_FALSE(tokens("# nobody\n").ok());
  // A message must not show a token.
  EXPECT_EQ(tokens("alice secretsecret\n").error().message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace assay
