// How long a candidate's compilation takes: cold (a source never seen), by nvcc's pipeline, by a
// plain nvcc command outside the sandbox, and from the cache.
//
//   compile_benchmark [ROUNDS]
//
// Each round compiles a variant of a 100-line kernel with ordinary includes, which differs in one
// constant. Precompiled headers are made before the clock starts: they are per machine, not per
// candidate. The figures are medians and the range over the rounds, in milliseconds of wall time.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/files.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/compile/toolchain.h"

namespace assay {
namespace {

double milliseconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::string variant(const std::string& source, size_t number) {
  const std::string mark = "VARIANT_CONSTANT";
  std::string text = source;
  text.replace(text.find(mark), mark.size(), fmt::format("{}.5f", 1000 + number));
  return text;
}

void print(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  fmt::print("{:<44} {:8.1f}   {:8.1f} .. {:8.1f}\n", what, times[times.size() / 2], times.front(),
             times.back());
}

std::unique_ptr<Compiler> make_compiler(bool use_nvrtc) {
  CompilerOptions options;
  options.use_nvrtc = use_nvrtc;
  auto compiler = Compiler::create(options);
  if (!compiler.ok()) {
    fmt::print(stderr, "compile_benchmark: {}\n", compiler.error().message);
    std::exit(3);
  }
  return *std::move(compiler);
}

void compile(Compiler& compiler, const std::string& source) {
  CompileRequest request;
  request.source = source;
  const auto outcome = compiler.compile(request);
  if (outcome.ok() && outcome->artifact) return;
  fmt::print(stderr, "compile_benchmark: {}\n",
             outcome.ok() ? outcome->failure->explanation : outcome.error().message);
  std::exit(3);
}

int run(size_t rounds) {
  const auto source =
      read_file(std::string(ASSAY_SOURCE_DIR) + "/benchmarks/compile_benchmark_kernel.cu");
  const auto toolchain = find_toolchain();
  const auto folder = TemporaryFolder::create("compile-benchmark");
  if (!source.ok() || !toolchain.ok() || !folder.ok()) {
    fmt::print(stderr, "compile_benchmark: {}\n",
               !source.ok() ? source.error().message : toolchain.error().message);
    return 3;
  }
  // Numbers that no earlier run has used, so that the cache knows none of the variants.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const size_t first = static_cast<size_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now).count() % 1'000'000 * 1000);
  const auto fast = make_compiler(true);
  const auto slow = make_compiler(false);
  compile(*fast, variant(*source, first));  // makes the precompiled headers

  std::vector<double> cold, pipeline, nvcc, cached;
  for (size_t round = 1; round <= rounds; ++round) {
    const std::string text = variant(*source, first + round);
    cold.push_back(milliseconds_of([&] { compile(*fast, text); }));
    for (int again = 0; again < 5; ++again)
      cached.push_back(milliseconds_of([&] { compile(*fast, text); }));
    pipeline.push_back(milliseconds_of([&] { compile(*slow, text); }));
    const auto file = folder->path() / "candidate.cu";
    if (!write_file(file, text).ok()) return 3;
    const std::string command = fmt::format(
        "{} -arch=sm_90 -lineinfo -shared -Xcompiler -fPIC -cudart shared {} -o {}",
        toolchain->nvcc.string(), file.string(), (folder->path() / "candidate.so").string());
    nvcc.push_back(milliseconds_of([&] {
      if (std::system(command.c_str()) != 0) std::exit(3);
    }));
  }
  fmt::print("{}; {} rounds\n", toolchain->description(), rounds);
  fmt::print("{:<44} {:>8}   {:>8} .. {:>8}\n", "milliseconds", "median", "lowest", "highest");
  print("cold (goal 600)", cold);
  print("cold, nvcc's pipeline taken apart", pipeline);
  print("plain nvcc, not sandboxed", nvcc);
  print("from the cache (goal 5)", cached);
  return 0;
}

}  // namespace
}  // namespace assay

int main(int count, char** values) {
  const int rounds = count > 1 ? std::atoi(values[1]) : 11;
  return assay::run(static_cast<size_t>(std::max(rounds, 1)));
}
