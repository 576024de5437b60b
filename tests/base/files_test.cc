#include "base/files.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

namespace fs = std::filesystem;

TEST(Files, WritesAndReadsBack) {
  const TemporaryFolder folder = *TemporaryFolder::create("files-test");
  const fs::path path = folder.path() / "file";
  ASSERT_TRUE(write_file(path, "one").ok());
  ASSERT_TRUE(write_file(path, std::string("t\0o", 3)).ok());
  EXPECT_EQ(*read_file(path), std::string("t\0o", 3));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
}

TEST(Files, SaysWhichFileIsMissing) {
  const auto content = read_file("/nowhere/at/all");
  ASSERT_FALSE(content.ok());
  EXPECT_EQ(content.error().kind, ErrorKind::not_found);
  EXPECT_NE(content.error().message.find("/nowhere/at/all"), std::string::npos);
}

TEST(Files, RefusesWhatIsNoRegularFileOrTooLarge) {
  const TemporaryFolder folder = *TemporaryFolder::create("files-test");
  EXPECT_FALSE(read_file(folder.path()).ok());
  EXPECT_FALSE(read_file("/dev/zero").ok());
  ASSERT_TRUE(write_file(folder.path() / "file", "12345").ok());
  EXPECT_FALSE(read_file(folder.path() / "file", 4).ok());
  EXPECT_TRUE(read_file(folder.path() / "file", 5).ok());
}

TEST(TemporaryFolder, IsGoneWithItsContentAfterwards) {
  fs::path path;
  {
    TemporaryFolder folder = *TemporaryFolder::create("files-test");
    path = folder.path();
    ASSERT_TRUE(write_file(path / "file", "x").ok());
    const TemporaryFolder moved = std::move(folder);
    EXPECT_TRUE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
}

}  // namespace
}  // namespace assay
