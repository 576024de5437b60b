// The attack catalogue, rows of compilation: what a source can make a compiler do. Shown with g++
// outside first, then with g++ under the compiler's policy; where the row is about the whole
// compile step, with that. The suites bear the rows' numbers (docs/sandbox.md).
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>

#include "base/files.h"
#include "evaluator/compile/compiler.h"
#include "payload_run.h"

namespace assay::sandbox {
namespace {

using std::chrono::milliseconds;

constexpr const char* kSecret = "assay_secret_4711";

const std::filesystem::path& secret_folder() {
  static const TemporaryFolder folder = *TemporaryFolder::create("assay-secret");
  static const bool written = write_file(folder.path() / "key.h", std::string(kSecret) + "\n").ok();
  EXPECT_TRUE(written);
  return folder.path();
}

std::string secret_file() { return secret_folder() / "key.h"; }

struct Compiled {
  Exit exit = Exit::exited;
  int code = 0;
  std::string messages;
  std::string object;

  bool tells(std::string_view text) const {
    return messages.find(text) != std::string::npos || object.find(text) != std::string::npos;
  }
  /// A file was absent, or without a mount namespace closed.
  bool lacks_file() const {
    return tells(isolation().namespaces ? "No such file" : "Permission denied");
  }
};

/// g++ without a sandbox; `timeout` bounds it as the wall limit does inside.
Compiled compile_bare(const std::string& source) {
  const auto folder = TemporaryFolder::create("assay-bare");
  Compiled compiled;
  if (!folder.ok() || !write_file(folder->path() / "in.cc", source).ok()) return compiled;
  const std::string command = "cd " + folder->path().string() +
                              " && timeout 3 /usr/bin/g++ -c in.cc -o out.o 2>&1 </dev/null";
  FILE* output = popen(command.c_str(), "r");
  std::array<char, 4096> block;
  for (size_t count; (count = fread(block.data(), 1, block.size(), output)) > 0;)
    compiled.messages.append(block.data(), count);
  compiled.code = WEXITSTATUS(pclose(output));
  if (auto object = read_file(folder->path() / "out.o"); object.ok()) compiled.object = *object;
  return compiled;
}

Compiled compile_inside(const std::string& source, Limits limits = {}) {
  Command command;
  command.arguments = {"/usr/bin/g++", "-c", "in.cc", "-o", "out.o"};
  command.environment = {{"PATH", "/usr/bin"}, {"TMPDIR", "."}};
  command.inputs = {{"in.cc", source, false}};
  command.outputs = {"out.o"};
  limits.wall = std::max(limits.wall, milliseconds(20'000));
  Result<Outcome> outcome = run(command, limits, Policy::compiler);
  EXPECT_TRUE(outcome.ok()) << outcome.error().message;
  Compiled compiled;
  if (!outcome.ok()) return compiled;
  compiled.exit = outcome->exit;
  compiled.code = outcome->code;
  compiled.messages = outcome->standard_output + outcome->standard_error;
  compiled.object = outcome->outputs["out.o"];
  return compiled;
}

Compiler& compiler() {
  static const std::unique_ptr<Compiler> made = [] {
    CompilerOptions options;
    options.use_cache = false;
    auto result = Compiler::create(options);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? *std::move(result) : nullptr;
  }();
  return *made;
}

CompileOutcome compile_whole(const std::string& head, const std::string& file = "candidate.cu") {
  CompileRequest request;
  request.source = head +
                   "\n__global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n"
                   "extern \"C\" void solve(float* x, cudaStream_t stream) {\n"
                   "  twice<<<1, 32, 0, stream>>>(x);\n}\n";
  request.file_name = file;
  request.entry =
      "// expects: extern \"C\" void solve(float* x, cudaStream_t stream)\n"
      "extern \"C\" void assay_solve(void** arguments) {\n"
      "  solve(*static_cast<float**>(arguments[0]), *static_cast<cudaStream_t*>(arguments[1]));\n"
      "}\n";
  request.want_cubin = false;
  auto outcome = compiler().compile(request);
  EXPECT_TRUE(outcome.ok()) << outcome.error().message;
  return outcome.ok() ? *outcome : CompileOutcome{};
}

std::string all_text(const CompileFailure& failure) {
  std::string text = failure.explanation + failure.log;
  for (const Diagnostic& diagnostic : failure.diagnostics) text += diagnostic.message;
  return text;
}

TEST(C01, AFileOfTheHostIsNotIncludedInDeviceCode) {
  const CompileOutcome outcome = compile_whole("#include \"" + secret_file() + "\"");
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_EQ(all_text(*outcome.failure).find(kSecret), std::string::npos);
}

TEST(C02, TheEnvironmentIsNotIncluded) {
  setenv("ASSAY_TEST_KEY", kSecret, 1);
  EXPECT_EQ(run_bare({"read", "/proc/self/environ"}), 0);
  const CompileOutcome outcome = compile_whole("#include \"/proc/self/environ\"");
  const Compiled inside = compile_inside("#include \"/proc/self/environ\"\n");
  unsetenv("ASSAY_TEST_KEY");
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_EQ(all_text(*outcome.failure).find(kSecret), std::string::npos);
  EXPECT_TRUE(inside.lacks_file()) << inside.messages;
}

TEST(C03, HasIncludeFindsNothingOfTheHost) {
  const std::string source =
      "#if __has_include(\"" + secret_file() + "\")\n#error present\n#endif\n";
  EXPECT_TRUE(compile_bare(source).tells("present"));
  const Compiled inside = compile_inside(source);
  EXPECT_FALSE(inside.tells(kSecret));
  if (!isolation().namespaces)
    GTEST_SKIP() << "without a mount namespace anybody may ask whether a file exists";
  EXPECT_EQ(inside.code, 0) << inside.messages;
}

TEST(C04, DiagnosticsQuoteNothingOfTheHost) {
  const std::string source = "#include \"" + secret_file() + "\"\n";
  EXPECT_TRUE(compile_bare(source).tells(kSecret));
  const Compiled inside = compile_inside(source);
  EXPECT_NE(inside.code, 0);
  EXPECT_FALSE(inside.tells(kSecret)) << inside.messages;
}

TEST(C05, TheAssemblerEmbedsNothingOfTheHost) {
  const std::string source = "asm(\".data\\n.incbin \\\"" + secret_file() + "\\\"\");\n";
  EXPECT_TRUE(compile_bare(source).tells(kSecret));
  const Compiled inside = compile_inside(source);
  EXPECT_NE(inside.code, 0);
  EXPECT_FALSE(inside.tells(kSecret));
}

TEST(C06, ThereIsNoEndlessDeviceToInclude) {
  EXPECT_TRUE(compile_inside("#include \"/dev/zero\"\n").lacks_file());
}

TEST(C07, StandardInputIsNoEndlessSource) {
  // Outside it is this test's own input, closed so that nothing hangs.
  EXPECT_EQ(compile_bare("#include \"/dev/stdin\"\n").code, 0);
  const Compiled inside = compile_inside("#include \"/dev/stdin\"\n");
  if (isolation().namespaces) {
    EXPECT_TRUE(inside.lacks_file()) << inside.messages;
  } else {
    EXPECT_EQ(inside.code, 0) << inside.messages;  // it is /dev/null
  }
}

TEST(C08, ATemplateBombEndsAtItsTimeLimit) {
  const std::string source =
      "template <int N, int M> struct A { enum { v = A<N - 1, M * 2>::v + A<N - 1, M * 2 + 1>::v "
      "}; "
      "};\n"
      "template <int M> struct A<0, M> { enum { v = 1 }; };\n"
      "int x = A<30, 0>::v;\n";
  EXPECT_EQ(compile_bare(source).code, 124) << "outside it is still at work after 3 s";
  Limits limits;
  limits.cpu = milliseconds(1000);
  limits.memory_bytes = size_t{3} << 30;
  EXPECT_EQ(compile_inside(source, limits).exit, Exit::timeout);
}

TEST(C08, AnObjectOfGigabytesIsCutShort) {
  Limits limits;
  limits.file_bytes = size_t{8} << 20;
  const Compiled inside = compile_inside("char a[1ll << 33] = {1};\n", limits);
  EXPECT_TRUE(inside.exit == Exit::output || inside.code != 0);
  EXPECT_TRUE(inside.object.empty());
}

TEST(C09, AFloodOfDiagnosticsIsCapped) {
  std::string source;
  for (int i = 0; i < 3000; ++i) source += "undeclared" + std::to_string(i) + " x;\n";
  EXPECT_GT(compile_bare(source).messages.size(), 200'000u);
  Limits limits;
  limits.output_bytes = 16384;
  EXPECT_LT(compile_inside(source, limits).messages.size(), 17000u);
}

TEST(C10, OptionsComeFromUsAlone) {
  const std::array variables = {"NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS", "CPATH",
                                "GCC_EXEC_PREFIX", "COMPILER_PATH"};
  for (const char* variable : variables)
    setenv(variable, std::string_view(variable).starts_with("NVCC") ? "-DPLANTED" : "/nowhere", 1);
  // Neither the caller's environment nor a file's name reaches a command line as an option.
  const CompileOutcome outcome =
      compile_whole("#ifdef PLANTED\n#error planted\n#endif", "-fplugin=evil.cu");
  for (const char* variable : variables) unsetenv(variable);
  EXPECT_FALSE(outcome.failure.has_value()) << all_text(*outcome.failure);
}

TEST(C11, ASourceCannotAddToTheLinkLine) {
  const CompileOutcome outcome = compile_whole("#pragma comment(lib, \"/usr/lib/evil\")");
  EXPECT_FALSE(outcome.failure.has_value()) << all_text(*outcome.failure);
}

TEST(C12, NothingOfOneCompilationReachesTheNext) {
  Command command;
  command.arguments = {"/bin/sh", "-c",
                       "cat out; (sleep 0.2; while :; do echo evil > out; done) & echo done"};
  command.environment = {{"PATH", "/usr/bin:/bin"}};
  command.outputs = {"out"};
  for (int round = 0; round < 2; ++round) {
    const Result<Outcome> outcome = run(command, {}, Policy::compiler);
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    EXPECT_EQ(outcome->standard_output, "done\n");
    EXPECT_TRUE(outcome->outputs.empty());
  }
}

}  // namespace
}  // namespace assay::sandbox
