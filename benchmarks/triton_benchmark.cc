// From a Triton candidate's source to its launch plan: the expert of cumsum-rows (60 lines, four
// kernels of which three run), compiled and recorded twice for the virtual device, and read. Cold
// starts a process for it; warm has one that has imported Triton. Nothing is cached between rounds:
// each compiles another source. Prints medians; run by hand:
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
constexpr auto kWarmUp = std::chrono::seconds(6);  // for a worker to import Triton

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

double median_ms(const std::string& source, const BoundCase& bound, size_t ready, int repeats) {
  const std::unique_ptr<Compiler> compiler = expect(Compiler::create());
  triton::Workers workers(ready);
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    workers.prepare();
    if (ready > 0) std::this_thread::sleep_for(kWarmUp);
    const triton::Request request{fmt::format("{}# round {} of {}\n", source, i, ready), "sm_80",
                                  false};
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
  for (const size_t ready : {0, 1})
    std::printf("source to plan, %s: median %7.1f ms of %d\n", ready == 0 ? "cold" : "warm",
                median_ms(source, bound, ready, repeats), repeats);
}
