#include "evaluator/compile/includes.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

std::optional<std::string> forbidden(const std::string& name) {
  Toolchain toolchain;
  toolchain.include = "/opt/cuda/include";
  return forbidden_include("device.o: candidate.cu \\\n /usr/include/stdc-predef.h " + name + "\n",
                           {"candidate.cu"}, toolchain);
}

TEST(IncludesTest, AllowsCudaAndTheStandardLibrary) {
  for (const char* name :
       {"/opt/cuda/include/cuda_fp16.h", "/opt/cuda/include/cccl/cub/cub.cuh",
        "/usr/include/c++/12/vector", "/usr/include/c++/12/bits/../cmath",
        "/usr/lib/gcc/x86_64-linux-gnu/12/include/stddef.h", "/usr/include/stdio.h",
        "/usr/include/x86_64-linux-gnu/bits/types.h", "/usr/include/linux/limits.h"})
    EXPECT_EQ(forbidden(name), std::nullopt) << name;
}

TEST(IncludesTest, RefusesEverythingElse) {
  for (const char* name : {"/etc/passwd", "/usr/include/zlib.h", "/opt/cuda/include/cublas_v2.h",
                           "/opt/cuda/include/../secret.h", "/usr/include/c++/../../../etc/passwd",
                           "other.cu", "/opt/cuda/includes/x.h", "/usr/include/stdio.h/../zlib.h"})
    EXPECT_NE(forbidden(name), std::nullopt) << name;
}

TEST(IncludesTest, ReadsEscapedNames) { EXPECT_EQ(forbidden("a\\ b\\#c$$d"), "a b#c$d"); }

TEST(IncludesTest, TellsADeniedHeaderOfCudaFromAMissingOne) {
  Toolchain toolchain;
  toolchain.include = "/opt/cuda/include";
  const auto unopened = [](const std::string& message) {
    return unopened_include({{{Diagnostic::Severity::error, 1, 1, message}, "candidate.cu"}});
  };
  const auto denied = unopened("/opt/cuda/include/mma.h: Permission denied");
  ASSERT_TRUE(denied);
  EXPECT_EQ(denied->name, "/opt/cuda/include/mma.h");
  EXPECT_TRUE(denied_header(*denied, toolchain));
  EXPECT_FALSE(denied_header(*unopened("mma.h: No such file or directory"), toolchain));
  EXPECT_FALSE(denied_header(*unopened("/etc/shadow: Permission denied"), toolchain));
  EXPECT_FALSE(unopened("/opt/cuda/include/mma.h: looks odd"));
}

}  // namespace
}  // namespace assay
