#include "evaluator/compile/split.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/compile/support.h"

namespace assay {
namespace {

long lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(SplitTest, CutsHostFunctionsFromTheDeviceHalfAndDeviceFunctionsFromTheHostHalf) {
  const auto halves = split_source(
      "__device__ float twice(float v) { return 2 * v; }\n"
      "static int blocks(int n) {\n  return n / 2;\n}\n"
      "__global__ void k(float* y, const int n) { y[n] = twice(n); }\n"
      "extern \"C\" void solve(float* y, int n) {\n  k<<<blocks(n), 32>>>(y, n);\n}\n");
  ASSERT_TRUE(halves.has_value());
  EXPECT_EQ(halves->device.find("blocks"), std::string::npos);
  EXPECT_EQ(halves->device.find("solve"), std::string::npos);
  EXPECT_NE(halves->device.find("y[n] = twice(n)"), std::string::npos);
  EXPECT_EQ(halves->host.find("twice"), std::string::npos);
  EXPECT_NE(halves->host.find("(::__cudaPushCallConfiguration(blocks(n), 32)?(void)0: k(y, n));"),
            std::string::npos)
      << halves->host;
  EXPECT_EQ(lines(halves->device), 8);
  EXPECT_EQ(lines(halves->host), 8);
}

TEST(SplitTest, KeepsEveryLineInItsPlace) {
  for (const char* name : {"plain", "templates", "structs", "constants", "bounds", "half"}) {
    const std::string source = testing::source_file(name);
    const auto halves = split_source(source);
    ASSERT_TRUE(halves.has_value()) << name;
    EXPECT_EQ(lines(halves->device), lines(source)) << name;
    EXPECT_EQ(lines(halves->host), lines(source)) << name;
  }
}

TEST(SplitTest, FindsIncludesAndTemplates) {
  const auto halves = split_source(
      "#include <cuda_fp16.h>\n# include \"mma.h\"\n"
      "template <typename T> __global__ void k(T* y) { *y = 1; }\n");
  ASSERT_TRUE(halves.has_value());
  EXPECT_EQ(halves->includes, (std::vector<std::string>{"cuda_fp16.h", "mma.h"}));
  EXPECT_TRUE(halves->has_kernel_templates);
  EXPECT_NE(halves->host.find("(k<T>)"), std::string::npos) << halves->host;
}

TEST(SplitTest, ListsTheTemplateInstancesWrittenAtLaunches) {
  const auto halves = split_source(
      "template <typename T, int N> __global__ void k(T* y) { *y = N; }\n"
      "__global__ void plain() {}\n"
      "extern \"C\" void solve(float* y) {\n"
      "  k<float,\n    (2 > 1)><<<1, 1>>>(y);\n  plain<<<1, 1>>>();\n  ns::k<int, 3><<<1, "
      "1>>>(0);\n}\n");
  ASSERT_TRUE(halves.has_value());
  EXPECT_EQ(halves->launched_templates,
            (std::vector<std::string>{"k < float , ( 2 > 1 ) >", "ns :: k < int , 3 >"}));
}

TEST(SplitTest, GivesTheDeviceOnlyConstantsThatNvccGivesIt) {
  const auto halves = split_source(
      "const int a = 1;\nstatic const float table[] = {1, 2};\nint b = 2;\n"
      "constexpr unsigned c = 3;\nstatic const Shape d{1, 2};\n__global__ void k() {}\n");
  ASSERT_TRUE(halves.has_value());
  EXPECT_EQ(halves->device,
            "const int a = 1;\n\n\nconstexpr unsigned c = 3;\n\n__global__ void k() {}\n");
}

TEST(SplitTest, IgnoresWhatStandsInCommentsAndStrings) {
  const auto halves = split_source(
      "/* __global__ void no() { */ // <<< {\n"
      "const char* text = \"} <<< {\"; const char brace = '{';\n"
      "const char* raw = R\"x(}}} \" ))x\";\n"
      "__global__ void k() {}\n");
  EXPECT_TRUE(halves.has_value());
}

TEST(SplitTest, RefusesSourcesThatItCouldMisread) {
  for (const char* source :
       {"#define K __global__ void k() {}\nK\n",  // kernels from macros
        "#define GO(k) k<<<1, 1>>>()\n",          // launches from macros
        "#ifdef A\n__global__ void k() {\n#else\n__global__ void k(int a) {\n#endif\n}\n",
        "__global__ void k() {}}\n",  // a brace too many
        "__global__ void k() {\n",    // one too few
        "#if 1\n#include <cuda_fp16.h>\n#endif\n__global__ void k() {}\n",
        "#include HEADER\n__global__ void k() {}\n",
        "#ifdef __CUDACC__\n#endif\n__global__ void k() {}\n",  // differs by compiler
        "constexpr int t[] = {1};\n__global__ void k(int* y) { *y = t[0]; }\n",
        "__managed__ int x;\n__global__ void k() {}\n",
        "__global__ void k(float*) {}\n",  // a parameter without name
        "template <typename F> __global__ void k(F f) {}\n"
        "void s() { k<<<1, 1>>>([=] __device__(int i) { return i; }); }\n",
        "__global__ void k() { k<<<1, 1>>>(); }\n",  // a launch from the device
        "__device__ std::size_t f() { return 1; }\n__global__ void k() {}\n",
        "// open \\\n__global__ void k() {}\n", "/* open"})
    EXPECT_FALSE(split_source(source).has_value()) << source;
}

TEST(SplitTest, SurvivesTruncatedSources) {
  const std::string source = testing::source_file("templates");
  for (size_t length = 0; length < source.size(); ++length)
    (void)split_source(source.substr(0, length));
}

}  // namespace
}  // namespace assay
