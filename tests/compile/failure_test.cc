// Sources that must not compile, and what is said about them.
#include "tests/compile/support.h"

namespace assay {
namespace {

using testing::make_compiler;
using testing::request_for;
using Kind = CompileFailure::Kind;

const std::string kSolve =
    "__global__ void k(float* y) { y[0] = 1; }\n"
    "extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream) {\n"
    "  k<<<1, 1, 0, stream>>>(y);\n"
    "}\n";

CompileFailure failure_of(const CompileRequest& request) {
  static const auto compiler = make_compiler(true);
  auto outcome = compiler->compile(request);
  if (!outcome.ok()) throw std::runtime_error(outcome.error().message);
  EXPECT_TRUE(outcome->failure.has_value()) << request.source;
  EXPECT_EQ(outcome->artifact, nullptr);
  return outcome->failure.value_or(CompileFailure{});
}

void expect_failure(const std::string& source, Kind kind, const std::string& reason,
                    const std::string& says) {
  const CompileFailure failure = failure_of(request_for(source));
  EXPECT_EQ(failure.kind, kind) << source;
  EXPECT_EQ(failure.reason, reason) << failure.explanation;
  EXPECT_NE(failure.explanation.find(says), std::string::npos) << failure.explanation;
}

TEST(FailureTest, RefusesBadTextBeforeAnyCompiler) {
  expect_failure("", Kind::no_code, "empty", "empty");
  expect_failure(" \n\t\n", Kind::no_code, "empty", "empty");
  expect_failure(std::string(10 << 20, ' '), Kind::rejected, "too_large", "1048576");
  expect_failure("int x;\n\xff\n", Kind::rejected, "not_utf8", "line 2");
  expect_failure(std::string("int\0x;", 6), Kind::rejected, "not_utf8", "line 1");
}

TEST(FailureTest, QuotesErrorsOfBothPassesOnceWithTheCandidatesLines) {
  const CompileFailure failure =
      failure_of(request_for("#include <cstdio>\n"
                             "template <typename T> __device__ T twice(T x) { return x.foo(); }\n"
                             "__global__ void k(float* y) {\n"
                             "  y[0] = undefined_thing;\n"
                             "  y[1] = twice(y[2]);\n"
                             "}\n" +
                             kSolve.substr(kSolve.find("extern"))));
  EXPECT_EQ(failure.reason, "syntax");
  int undefined = 0, member = 0;
  for (const Diagnostic& item : failure.diagnostics) {
    if (item.message.find("undefined_thing") != std::string::npos) {
      ++undefined;
      EXPECT_EQ(item.line, 4u);
      EXPECT_EQ(item.column, 10u);
    }
    if (item.message.find("must have class type") != std::string::npos) {
      ++member;
      EXPECT_EQ(item.line, 2u);
    }
  }
  EXPECT_EQ(undefined, 1);
  EXPECT_EQ(member, 1);
  EXPECT_NE(failure.explanation.find("candidate.cu(4): error:"), std::string::npos);
}

TEST(FailureTest, MapsAssemblerErrorsToTheCandidatesLine) {
  const CompileFailure failure =
      failure_of(request_for("__global__ void k(float* y) {\n\n  asm volatile(\"foo.bar;\");\n}\n" +
                             kSolve.substr(kSolve.find("extern"))));
  EXPECT_EQ(failure.reason, "syntax");
  ASSERT_FALSE(failure.diagnostics.empty());
  EXPECT_EQ(failure.diagnostics[0].line, 3u);
}

TEST(FailureTest, TellsMissingSolveFromAWrongSignature) {
  expect_failure("__global__ void k() {}\n", Kind::compile_error, "no_solve",
                 "extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream)");
  expect_failure("__global__ void k() {}\nextern \"C\" void solve(float*, int, cudaStream_t) {}\n",
                 Kind::compile_error, "wrong_signature", "define extern \"C\" void solve(const");
  expect_failure("__global__ void k() {}\nvoid solve(int*, float*, int, cudaStream_t) {}\n",
                 Kind::compile_error, "wrong_signature", "int *");
  expect_failure(
      "__global__ void k() {}\nextern \"C\" void solve(const float*, float*, int, cudaStream_t);\n",
      Kind::compile_error, "no_solve", "defines no function solve");
  expect_failure("extern \"C\" void solve(const float*, float*, int, cudaStream_t) {\n",
                 Kind::compile_error, "syntax", "at the end of the source");
}

TEST(FailureTest, WantsAKernel) {
  expect_failure("extern \"C\" void solve(const float*, float*, int, cudaStream_t) {}\n",
                 Kind::compile_error, "no_kernels", "__global__");
}

TEST(FailureTest, ForgivesAMissingConst) {
  auto outcome = make_compiler(true)->compile(request_for(
      "__global__ void k() {}\n"
      "extern \"C\" void solve(float* x, float* y, int n, cudaStream_t s) { k<<<1, 1>>>(); }\n"));
  ASSERT_TRUE(outcome.ok());
  EXPECT_FALSE(outcome->failure.has_value()) << outcome->failure->explanation;
}

TEST(FailureTest, RefusesIncludesOutsideTheAllowList) {
  for (const std::string include :
       {"\"/etc/passwd\"", "</etc/passwd>", "\"../../etc/passwd\"", "\"/proc/self/environ\"",
        "\"other.h\"", "<torch/extension.h>", "<cublas_v2.h>", "<zlib.h>", "\"steps.json\""}) {
    const CompileFailure failure = failure_of(request_for("#include " + include + "\n" + kSolve));
    EXPECT_EQ(failure.kind, Kind::rejected) << include;
    EXPECT_EQ(failure.reason, "include") << include << failure.explanation;
    EXPECT_TRUE(failure.diagnostics.empty()) << include;
    EXPECT_TRUE(failure.log.empty()) << include;
  }
}

TEST(FailureTest, SeesThroughComputedIncludes) {
  expect_failure("#define FILE_ \"/etc/passwd\"\n#include FILE_\n" + kSolve, Kind::rejected,
                 "include", "/etc/passwd");
  expect_failure(
      "#if __has_include(\"/usr/include/zlib.h\")\n"
      "#include \"/usr/include/zlib.h\"\n#else\n#include <zlib.h>\n#endif\n" +
          kSolve,
      Kind::rejected, "include", "zlib.h");
}

TEST(FailureTest, NeverShowsAFilesContent) {
  for (const char* include : {"\"/etc/passwd\"", "\"/etc/hostname\"", "\"steps.json\""}) {
    const CompileFailure failure =
        failure_of(request_for(std::string("#include ") + include + "\n" + kSolve));
    EXPECT_EQ(failure.explanation.find("root:"), std::string::npos);
    EXPECT_EQ(failure.explanation.find("arguments"), std::string::npos);
  }
}

TEST(FailureTest, CannotEmbedFilesThroughTheAssembler) {
  const CompileFailure failure =
      failure_of(request_for("asm(\".incbin \\\"/etc/shadow\\\"\");\n" + kSolve));
  EXPECT_EQ(failure.kind, Kind::compile_error);
  EXPECT_EQ(failure.explanation.find("root:"), std::string::npos);
}

TEST(FailureTest, ExplainsThatLibrariesAreNotAvailable) {
  expect_failure(
      "extern \"C\" int cublasCreate_v2(void**);\n"
      "__global__ void k() {}\n"
      "extern \"C\" void solve(const float*, float*, int, cudaStream_t) {\n"
      "  k<<<1, 1>>>(); cublasCreate_v2(nullptr);\n}\n",
      Kind::compile_error, "link", "cuBLAS: libraries are not available");
}

TEST(FailureTest, NamesTheLimitOfStaticSharedMemory) {
  expect_failure(
      "__global__ void k(float* y) {\n"
      "  __shared__ float big[20000];\n  big[threadIdx.x] = y[0];\n"
      "  __syncthreads();\n  y[threadIdx.x] = big[7];\n}\n" +
          kSolve.substr(kSolve.find("extern")),
      Kind::compile_error, "compiler_limits", "too much shared");
}

TEST(FailureTest, EndsEndlessIncludesAndRecursion) {
  expect_failure("#include __FILE__\n" + kSolve, Kind::compile_error, "compiler_limits", "depth");
  expect_failure(
      "template <int N> struct Deep { static const int v = Deep<N + 1>::v; };\n"
      "int x = Deep<0>::v;\n" +
          kSolve,
      Kind::compile_error, "compiler_limits", "recursi");
}

TEST(FailureTest, StopsCompilationsThatTakeTooLong) {
  CompilerOptions options;
  options.use_nvrtc = false;
  options.use_cache = false;
  options.time_limit = std::chrono::milliseconds(2500);
  auto compiler = Compiler::create(options);
  ASSERT_TRUE(compiler.ok());
  std::string source =
      "template <int A, int B> struct F { static constexpr long v ="
      " F<A - 1, B * 2>::v + F<A - 1, B * 2 + 1>::v; };\n"
      "template <int B> struct F<0, B> { static constexpr long v = B; };\n"
      "long x = F<22, 0>::v;\n";
  const auto outcome = (*compiler)->compile(request_for(source + kSolve));
  ASSERT_TRUE(outcome.ok()) << outcome.error().message;
  ASSERT_TRUE(outcome->failure.has_value());
  EXPECT_EQ(outcome->failure->kind, Kind::timeout);
  EXPECT_EQ(outcome->failure->reason, "compile_time");
}

}  // namespace
}  // namespace assay
