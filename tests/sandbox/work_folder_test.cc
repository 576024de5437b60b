// Work folders on the disk: what a program may leave in one, and that all of it goes.
#include "sandbox/work_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/files.h"

namespace assay::sandbox {
namespace {

namespace fs = std::filesystem;

WorkFolder make_folder() {
  Result<WorkFolder> folder = WorkFolder::create(geteuid(), getegid());
  EXPECT_TRUE(folder.ok()) << folder.error().message;
  return folder.ok() ? *std::move(folder) : WorkFolder();
}

TEST(WorkFolder, IsPrivateAndGoesWithItsOwner) {
  std::string path;
  {
    const WorkFolder folder = make_folder();
    path = folder.path();
    EXPECT_EQ(fs::status(path).permissions(), fs::perms(0700));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(WorkFolder, GoesWhateverIsInIt) {
  const Result<TemporaryFolder> elsewhere = TemporaryFolder::create("assay-elsewhere");
  ASSERT_TRUE(elsewhere.ok());
  const std::string kept = elsewhere->path() / "kept";
  ASSERT_TRUE(write_file(kept, "content").ok());
  fs::permissions(kept, fs::perms(0640));

  WorkFolder folder = make_folder();
  const std::string path = folder.path();
  ASSERT_TRUE(write_file(path + "/odd\n\xff name", "x").ok());
  ASSERT_EQ(symlink(kept.c_str(), (path + "/link").c_str()), 0);
  ASSERT_EQ(symlink(elsewhere->path().c_str(), (path + "/folder-link").c_str()), 0);
  ASSERT_EQ(mkfifo((path + "/pipe").c_str(), 0600), 0);
  // Deep, and without any permission.
  int at = open(path.c_str(), O_RDONLY | O_DIRECTORY);
  for (int depth = 0; depth < 1000; ++depth) {
    ASSERT_EQ(mkdirat(at, "d", 0700), 0);
    ASSERT_EQ(symlinkat(kept.c_str(), at, "link"), depth == 0 ? -1 : 0);
    const int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
    if (depth > 0) fchmod(at, 0);
    close(at);
    at = next;
  }
  close(at);
  EXPECT_TRUE(folder.exceeds(size_t{1} << 30, 100'000));
  folder = WorkFolder();
  EXPECT_FALSE(fs::exists(path));
  EXPECT_EQ(*read_file(kept), "content");
  EXPECT_EQ(fs::status(kept).permissions(), fs::perms(0640));
}

TEST(WorkFolder, IsMeasured) {
  const WorkFolder folder = make_folder();
  fs::create_directory(folder.path() + "/inner");
  for (const char* name : {"/a", "/inner/b"})
    ASSERT_TRUE(write_file(folder.path() + name, std::string(100'000, 'x')).ok());
  EXPECT_FALSE(folder.exceeds(1'000'000, 10));
  EXPECT_TRUE(folder.exceeds(150'000, 10));
  EXPECT_TRUE(folder.exceeds(1'000'000, 2));
  fs::permissions(folder.path() + "/inner", fs::perms(0300));
  EXPECT_EQ(folder.exceeds(1'000'000, 10), geteuid() != 0) << "one that cannot be read";
}

}  // namespace
}  // namespace assay::sandbox
