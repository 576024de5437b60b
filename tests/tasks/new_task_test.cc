#include "tasks/new_task.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "base/files.h"
#include "tasks/task.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NewTaskTest : public testing::Test {
 protected:
  TemporaryFolder folder_ = *TemporaryFolder::create("new");
  TaskRoots roots_{folder_.path() / "tasks/suites", folder_.path() / "reference_kernels"};
};

TEST_F(NewTaskTest, WritesATaskThatLoadsAndThreeKernels) {
  const auto paths = create_task("my-task", "my-suite", roots_);
  ASSERT_TRUE(paths.ok()) << paths.error().message;
  ASSERT_EQ(paths->size(), 5u);
  for (const fs::path& path : *paths) EXPECT_TRUE(fs::is_regular_file(path)) << path;
  const Result<Task> task = load_task(roots_.suites / "my-suite/my-task");
  ASSERT_TRUE(task.ok()) << task.error().message;
  EXPECT_EQ(task->signature(),
            "extern \"C\" void solve(const float* x, float* y, float alpha, int n, "
            "cudaStream_t stream)");
  for (const char* kernel : {"reference.cu", "naive.cu", "expert.cu"})
    EXPECT_THAT(*read_file(roots_.kernels / "my-task" / kernel), HasSubstr(task->signature()));
}

TEST_F(NewTaskTest, KernelsCompile) {
  if (std::system("nvcc --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "nvcc was not found";
  ASSERT_TRUE(create_task("my-task", "my-suite", roots_).ok());
  for (const char* kernel : {"reference", "naive", "expert"}) {
    const std::string file = (roots_.kernels / "my-task" / kernel).string();
    EXPECT_EQ(std::system(("nvcc -arch=sm_90 -ptx -o " + file + ".ptx " + file + ".cu").c_str()),
              0);
  }
}

TEST_F(NewTaskTest, NeverOverwritesAnything) {
  ASSERT_TRUE(create_task("my-task", "my-suite", roots_).ok());
  EXPECT_THAT(create_task("my-task", "my-suite", roots_).error().message,
              HasSubstr("exists already"));
  // Kernels of that id exist: the task folder made before that was noticed goes away again.
  EXPECT_THAT(create_task("my-task", "other", roots_).error().message, HasSubstr("exists already"));
  EXPECT_FALSE(fs::exists(roots_.suites / "other/my-task"));
  EXPECT_TRUE(fs::exists(roots_.kernels / "my-task/naive.cu"));
}

TEST_F(NewTaskTest, NamesThatAreNoFolderNamesAreRefused) {
  for (const char* id : {"", "../x", "My Task", "-x", "a/b"})
    EXPECT_EQ(create_task(id, "suite", roots_).error().kind, ErrorKind::usage) << id;
  EXPECT_THAT(create_task("x", "a/b", roots_).error().message, HasSubstr("name of a suite"));
  EXPECT_FALSE(fs::exists(roots_.kernels));
}

}  // namespace
}  // namespace assay
