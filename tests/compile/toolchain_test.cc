#include "evaluator/compile/toolchain.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& content = "") {
  fs::create_directories(path.parent_path());
  ASSERT_TRUE(write_file(path, content).ok());
}

/// The layout that NVIDIA's wheels unpack to, with an nvcc that knows its version.
void make_toolkit(const fs::path& root, const std::string& version) {
  put(root / "bin/nvcc", "#!/bin/sh\necho 'Cuda compilation tools, release x, V" + version + "'\n");
  fs::permissions(root / "bin/nvcc", fs::perms::owner_all);
  for (const char* file : {"bin/cudafe++", "bin/ptxas", "nvvm/bin/cicc", "include/cuda_runtime.h",
                           "include/cccl/cub/cub.cuh", "lib/libcudart.so.13"})
    put(root / file);
}

TEST(ToolchainTest, FindsTheLayoutOfTheWheels) {
  const auto folder = TemporaryFolder::create("toolkit");
  make_toolkit(folder->path(), "13.0.88");
  auto toolchain = open_toolchain(folder->path());
  ASSERT_TRUE(toolchain.ok()) << toolchain.error().message;
  EXPECT_EQ(toolchain->cuda_build, 88);
  EXPECT_TRUE(toolchain->nvrtc.empty());
  EXPECT_EQ(toolchain->description().find("nvcc 13.0.88, nvrtc absent, g++ "), 0u);
  put(folder->path() / "lib/libnvrtc.so.13");
  toolchain = open_toolchain(folder->path());
  ASSERT_TRUE(toolchain.ok());
  EXPECT_EQ(toolchain->nvrtc.filename(), "libnvrtc.so.13");
}

TEST(ToolchainTest, FollowsLinkedHeadersToTheFolderThatHoldsThem) {
  const auto folder = TemporaryFolder::create("toolkit");
  make_toolkit(folder->path() / "real", "13.0.88");
  const fs::path linked = folder->path() / "linked";
  make_toolkit(linked, "13.0.88");
  fs::remove_all(linked / "include");
  fs::create_directory(linked / "include");
  for (const char* name : {"cuda_runtime.h", "cccl"})
    fs::create_symlink(folder->path() / "real/include" / name, linked / "include" / name);
  const auto toolchain = open_toolchain(linked);
  ASSERT_TRUE(toolchain.ok()) << toolchain.error().message;
  EXPECT_EQ(toolchain->include, fs::canonical(folder->path() / "real/include"));
}

TEST(ToolchainTest, NamesWhatIsMissing) {
  const auto folder = TemporaryFolder::create("toolkit");
  make_toolkit(folder->path(), "13.0.88");
  fs::remove(folder->path() / "nvvm/bin/cicc");
  const auto toolchain = open_toolchain(folder->path());
  ASSERT_FALSE(toolchain.ok());
  EXPECT_EQ(toolchain.error().kind, ErrorKind::not_found);
  EXPECT_NE(toolchain.error().message.find("nvvm/bin/cicc is missing"), std::string::npos);
}

TEST(ToolchainTest, RefusesAnotherMajorVersion) {
  const auto folder = TemporaryFolder::create("toolkit");
  make_toolkit(folder->path(), "12.4.99");
  const auto toolchain = open_toolchain(folder->path());
  ASSERT_FALSE(toolchain.ok());
  EXPECT_NE(toolchain.error().message.find("CUDA 13"), std::string::npos);
}

TEST(ToolchainTest, LooksOnlyWhereTheEnvironmentSays) {
  const auto folder = TemporaryFolder::create("toolkit");
  setenv("ASSAY_CUDA_HOME", folder->path().c_str(), 1);
  auto toolchain = find_toolchain();
  ASSERT_FALSE(toolchain.ok());
  EXPECT_NE(toolchain.error().message.find("ASSAY_CUDA_HOME"), std::string::npos);
  EXPECT_EQ(toolchain.error().message.find("/usr/local/cuda"), std::string::npos);
  make_toolkit(folder->path(), "13.0.88");
  toolchain = find_toolchain();
  EXPECT_TRUE(toolchain.ok());
  unsetenv("ASSAY_CUDA_HOME");
}

}  // namespace
}  // namespace assay
