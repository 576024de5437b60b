// From a Triton candidate's source to its launch plan: the expert of cumsum-rows (60 lines, four
// kernels of which three run), compiled, recorded twice for the virtual device, and read. Cold
// starts a process for it; warm has one that has imported Triton; with ptxas, as for a GPU, makes
// machine code of the kernels besides. Nothing is cached between rounds: each compiles another
// source. Prints medians; run by hand:
//
//   triton_benchmark [repeats]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/files.h"
#include "evaluator/compile/compiler.h"
#include "evaluator/triton/recorder.h"
#include "tasks/task.h"

namespace {

using namespace assay;

constexpr const char* kTask = "cumsum-rows";
constexpr const char* kCase = "ragged";
constexpr auto kWarmUp = std::chrono::seconds(4);  // for a worker to import Triton

struct Way {
  const char* name;
  size_t ready;  // workers that wait
  bool want_cubin;
};
constexpr Way kWays[] = {{"cold", 0, false}, {"warm", 1, false}, {"warm, with ptxas", 1, true}};

template <typename Value>
Value expect(Result<Value> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "triton_benchmark: %s\n", result.error().message.c_str());
  std::exit(1);
}

BoundCase bound_case() {
  const Catalogue catalogue = expect(load_catalogue());
  for (const Task& task : catalogue.tasks)
    for (const CaseSpec& spec : task.cases)
      if (task.id == kTask && spec.name == kCase) return expect(bind(task, spec));
  std::fprintf(stderr, "triton_benchmark: no case %s of %s\n", kCase, kTask);
  std::exit(1);
}

double median_ms(const std::string& source, const BoundCase& bound, const Way& way, int repeats) {
  CompilerOptions options;
  options.use_cache = false;
  const std::unique_ptr<Compiler> compiler = expect(Compiler::create(options));
  triton::Workers workers(way.ready);
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    workers.prepare();
    if (way.ready > 0) std::this_thread::sleep_for(kWarmUp);
    const triton::Request request{fmt::format("{}# round {}, {}\n", source, i, way.name), "sm_80",
                                  way.want_cubin};
    const triton::Recorded recorded =
        expect(triton::record(request, bound, default_device_info("sm_80"), *compiler, workers));
    if (recorded.outcome.failure) {
      std::fprintf(stderr, "triton_benchmark: %s\n", recorded.outcome.failure->explanation.c_str());
      std::exit(1);
    }
    times.push_back(recorded.outcome.record_ms);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 10;
  const std::string source =
      expect(read_file(std::string(ASSAY_SOURCE_DIR) + "/reference_kernels/cumsum-rows/expert.py"));
  const BoundCase bound = bound_case();
  for (const Way& way : kWays)
    std::printf("source to plan, %-16s median %7.1f ms of %d\n", way.name,
                median_ms(source, bound, way, repeats), repeats);
}
