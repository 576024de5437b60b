#include "evaluator/compile/artifact_cache.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace assay {
namespace {

CompileOutcome example() {
  auto artifact = std::make_shared<Artifact>();
  artifact->key = std::string(64, 'a');
  artifact->arch = "sm_90";
  artifact->ptx = "ptx";
  artifact->cubin = std::string(
      "\0\x7f"
      "ELF",
      5);
  artifact->launcher = std::string(1000, '\xff');
  artifact->log = "log\nlines\n";
  artifact->kernels = {{"k", "k()", {{0, 8, 8}, {8, 24, 4}}, 40, 1, 2, 3, 4, 256}};
  artifact->variables = {{"v", uint64_t{1} << 40, true}};
  artifact->diagnostics = {{Diagnostic::Severity::warning, 3, 4, "unused"}};
  artifact->compile_ms = 12.5;
  return {artifact, {}};
}

TEST(ArtifactCacheTest, GivesBackWhatWasStored) {
  const auto folder = TemporaryFolder::create("artifacts");
  const ArtifactCache cache(folder->path() / "new");
  const CompileOutcome stored = example();
  const std::string key(64, 'b');
  EXPECT_FALSE(cache.find(key).has_value());
  cache.store(key, stored);
  const auto found = cache.find(key);
  ASSERT_TRUE(found.has_value() && found->artifact);
  const Artifact& artifact = *found->artifact;
  EXPECT_EQ(artifact.cubin, stored.artifact->cubin);
  EXPECT_EQ(artifact.launcher, stored.artifact->launcher);
  EXPECT_EQ(artifact.log, stored.artifact->log);
  ASSERT_EQ(artifact.kernels.size(), 1u);
  EXPECT_EQ(artifact.kernels[0].parameters[1].bytes, 24u);
  EXPECT_EQ(artifact.kernels[0].static_shared_bytes, 4u);
  EXPECT_EQ(artifact.kernels[0].max_threads, 256u);
  EXPECT_EQ(artifact.variables[0].bytes, uint64_t{1} << 40);
  EXPECT_EQ(artifact.diagnostics[0].message, "unused");
  EXPECT_TRUE(artifact.from_cache);
}

TEST(ArtifactCacheTest, KeepsFailures) {
  CompileFailure failure{CompileFailure::Kind::rejected, "include", "no", {}, "log"};
  const auto found = deserialize(serialize({nullptr, failure}));
  ASSERT_TRUE(found.has_value() && found->failure.has_value());
  EXPECT_EQ(found->failure->kind, CompileFailure::Kind::rejected);
  EXPECT_EQ(found->failure->reason, "include");
  EXPECT_EQ(found->failure->log, "log");
}

TEST(ArtifactCacheTest, RefusesEveryTruncationAndAlteration) {
  const std::string bytes = serialize(example());
  ASSERT_TRUE(deserialize(bytes).has_value());
  for (size_t length = 0; length < bytes.size(); ++length)
    EXPECT_FALSE(deserialize(std::string_view(bytes).substr(0, length)).has_value()) << length;
  for (size_t at = 0; at < bytes.size(); at += 7) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    EXPECT_FALSE(deserialize(altered).has_value()) << at;
  }
}

}  // namespace
}  // namespace assay
