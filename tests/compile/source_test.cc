// Ordinary sources of many shapes, through both builds: same kernels, same parameters, and
// launchers that ask the runtime for the same things.
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/demangle.h"
#include "base/install.h"
#include "evaluator/compile/fast_build.h"
#include "evaluator/compile/ptx_header.h"
#include "tests/compile/fake_cudart.h"
#include "tests/compile/support.h"

namespace assay {
namespace {

using testing::make_compiler;
using testing::request_for;
using testing::source_file;

/// What a launcher asked of the runtime, as text; kernels by their demangled names.
struct Trace {
  std::vector<std::string> registered;
  std::vector<std::string> calls;
  const Artifact* artifact = nullptr;
};
Trace* trace = nullptr;

std::string hex(const void* data, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i)
    text += fmt::format("{:02x}", static_cast<const unsigned char*>(data)[i]);
  return text;
}

/// nvcc puts variables of internal linkage into a namespace of its own.
std::string readable(const char* symbol) {
  const std::string internal = "_INTERNAL_assay::";
  const std::string name = demangled_name(symbol);
  return name.starts_with(internal) ? name.substr(internal.size()) : name;
}

void on_launch(const char* name, fake_cudart::Dim3 grid, fake_cudart::Dim3 block, size_t shared,
               void* stream, void** arguments) {
  std::string text = fmt::format("{} <<<{},{},{} {},{},{} {} {}>>>", readable(name), grid.x, grid.y,
                                 grid.z, block.x, block.y, block.z, shared, stream);
  const Kernel* kernel = trace->artifact->find_kernel(name);
  if (!kernel) text += " unknown kernel " + std::string(name);
  for (size_t i = 0; kernel && i < kernel->parameters.size(); ++i)
    text += " " + hex(arguments[i], kernel->parameters[i].bytes);
  trace->calls.push_back(text);
}

void on_copy(const char* name, const void* source, size_t bytes) {
  std::string text = fmt::format("copy to {} {}", readable(name), hex(source, bytes));
  for (const ModuleVariable& variable : trace->artifact->variables)
    if (variable.name == name) return trace->calls.push_back(text);
  trace->calls.push_back(text + " unknown variable " + name);
}

void on_registration(const char* name, size_t, bool variable) {
  if (!variable) trace->registered.push_back(name);
}

/// Else padding of structures that are passed to kernels holds what earlier calls left there.
[[gnu::noinline]] void clean_stack() {
  volatile char area[64 << 10];
  std::memset(const_cast<char*>(area), 0, sizeof area);
  asm volatile("" : : "r"(area) : "memory");
}

class Launcher {
 public:
  explicit Launcher(const Artifact& artifact) {
    static void* const runtime = dlopen(ASSAY_FAKE_CUDART, RTLD_NOW | RTLD_GLOBAL);
    if (!runtime) throw std::runtime_error(dlerror());
    const auto set_hooks = reinterpret_cast<void (*)(const fake_cudart::Hooks*)>(
        dlsym(runtime, "fake_cudart_set_hooks"));
    const fake_cudart::Hooks hooks{on_launch, on_copy, on_registration};
    trace_.artifact = &artifact;
    trace = &trace_;
    set_hooks(&hooks);
    auto folder = TemporaryFolder::create("launcher");
    const auto path = folder->path() / "launcher.so";
    EXPECT_TRUE(write_file(path, artifact.launcher).ok());
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) throw std::runtime_error(dlerror());
  }
  ~Launcher() { dlclose(handle_); }

  Trace run() {
    const auto solve = reinterpret_cast<void (*)(void**)>(dlsym(handle_, "assay_solve"));
    if (!solve) throw std::runtime_error("no assay_solve");
    void* x = reinterpret_cast<void*>(0x1000);
    void* y = reinterpret_cast<void*>(0x2000);
    int n = 1000;
    void* stream = reinterpret_cast<void*>(0x3000);
    void* arguments[] = {&x, &y, &n, &stream};
    clean_stack();
    solve(arguments);
    return trace_;
  }

 private:
  void* handle_ = nullptr;
  Trace trace_;
};

std::string describe(const Kernel& kernel) {
  std::string text = fmt::format("{} {}", kernel.demangled, kernel.max_threads);
  for (const KernelParameter& parameter : kernel.parameters)
    text += fmt::format(" {}+{}", parameter.offset, parameter.bytes);
  return text;
}

std::set<std::string> describe(const Artifact& artifact) {
  std::set<std::string> texts;
  for (const Kernel& kernel : artifact.kernels) texts.insert(describe(kernel));
  return texts;
}

std::shared_ptr<const Artifact> compile(Compiler& compiler, const std::string& name) {
  auto outcome = compiler.compile(request_for(source_file(name)));
  if (!outcome.ok()) throw std::runtime_error(outcome.error().message);
  if (outcome->failure) throw std::runtime_error(outcome->failure->explanation);
  return outcome->artifact;
}

struct Source {
  const char* name;
  bool fast;  // ordinary enough for the fast build
};
void PrintTo(const Source& source, std::ostream* stream) { *stream << source.name; }

class SourceTest : public ::testing::TestWithParam<Source> {};

TEST_P(SourceTest, BothBuildsAgreeOnKernelsAndLaunches) {
  static const auto with_nvcc = make_compiler(false);
  static const auto with_nvrtc = make_compiler(true);
  const auto slow = compile(*with_nvcc, GetParam().name);
  const Trace expected = Launcher(*slow).run();
  EXPECT_FALSE(expected.calls.empty());
  for (const std::string& call : expected.calls)
    EXPECT_EQ(call.find("unknown"), std::string::npos) << call;
  for (const std::string& name : expected.registered)
    EXPECT_NE(slow->find_kernel(name), nullptr) << name;
  EXPECT_NE(slow->ptx.find("\t.file\t1 \"candidate.cu\""), std::string::npos);
  for (const Kernel& kernel : slow->kernels) EXPECT_GT(kernel.registers, 0u) << kernel.name;
  if (!GetParam().fast) return;

  const auto fast = compile(*with_nvrtc, GetParam().name);
  EXPECT_EQ(describe(*fast), describe(*slow));
  const Trace found = Launcher(*fast).run();
  EXPECT_EQ(found.calls, expected.calls);
  EXPECT_EQ(found.registered.size(), expected.registered.size());
  EXPECT_NE(fast->ptx.find("\t.file\t1 \"candidate.cu\""), std::string::npos);
  EXPECT_NE(fast->ptx.find("\t.loc\t1 "), std::string::npos);
  EXPECT_FALSE(fast->cubin.empty());
}

TEST_P(SourceTest, TheFastBuildTakesOrdinarySourcesOnly) {
  BuildContext context;
  auto toolchain = find_toolchain();
  ASSERT_TRUE(toolchain.ok());
  context.toolchain = *toolchain;
  context.programs = installed_file("bin/assay-steps")->parent_path();
  auto product = FastBuild::create(context)->build(request_for(source_file(GetParam().name)));
  ASSERT_TRUE(product.ok()) << product.error().message;
  EXPECT_EQ(product->has_value(), GetParam().fast);
}

INSTANTIATE_TEST_SUITE_P(All, SourceTest,
                         ::testing::Values(Source{"plain", true}, Source{"templates", true},
                                           Source{"instances", true}, Source{"structs", true},
                                           Source{"constants", true}, Source{"bounds", true},
                                           Source{"half", true}, Source{"groups", true},
                                           Source{"wmma", true}, Source{"host_library", true},
                                           Source{"cub_reduce", false}, Source{"lambdas", false},
                                           Source{"standard", false}, Source{"macros", false}),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(CompilerTest, ReportsVariablesOfTheModule) {
  const auto artifact = compile(*make_compiler(true), "constants");
  const auto find = [&](const std::string& name) -> const ModuleVariable* {
    for (const ModuleVariable& variable : artifact->variables)
      if (variable.name == name) return &variable;
    return nullptr;
  };
  ASSERT_NE(find("weights"), nullptr);
  EXPECT_TRUE(find("weights")->constant);
  EXPECT_EQ(find("weights")->bytes, 64u);
  ASSERT_NE(find("table"), nullptr);
  EXPECT_FALSE(find("table")->constant);
  EXPECT_EQ(find("table")->bytes, 32u);
}

TEST(CompilerTest, LauncherNeedsNoCudaLibraryButTheRuntime) {
  const auto artifact = compile(*make_compiler(true), "plain");
  EXPECT_NE(artifact->launcher.find("libcudart.so.13"), std::string::npos);
  for (const char* name : {"libcuda.so", "libcublas", "libcudadevrt", "libnvrtc"})
    EXPECT_EQ(artifact->launcher.find(name), std::string::npos) << name;
}

TEST(CompilerTest, MakesNoCubinWhenOnlyPtxIsWanted) {
  CompileRequest request = request_for(source_file("plain"));
  request.want_cubin = false;
  const auto outcome = make_compiler(true)->compile(request);
  ASSERT_TRUE(outcome.ok() && outcome->artifact);
  EXPECT_TRUE(outcome->artifact->cubin.empty());
  EXPECT_FALSE(outcome->artifact->ptx.empty());
}

TEST(CompilerTest, CompilesForTheArchitectureAskedFor) {
  CompileRequest request = request_for(source_file("plain"));
  request.arch = "sm_90a";
  auto outcome = make_compiler(true)->compile(request);
  ASSERT_TRUE(outcome.ok() && outcome->artifact);
  EXPECT_NE(outcome->artifact->ptx.find(".target sm_90a"), std::string::npos);
  request.arch = "hopper";
  outcome = make_compiler(true)->compile(request);
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace assay
