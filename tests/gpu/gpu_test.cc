// What only a GPU can show: ./assay test --device cuda:0 runs these, and nothing else does.
//
// Virtual against real: every program of tests/virtual_programs and every kernel of the starter
// suite on both devices, exact operations to the bit, the others within their documented bound.
// And every known candidate on the GPU: its header says what is seen there where that differs from
// the virtual device, which sees more.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <thread>
#include <vector>

#include "evaluator/check/trusted.h"
#include "evaluator/device/cuda/device.h"
#include "evaluator/evaluate.h"
#include "tests/evaluator/known_candidate.h"
#include "tests/virtual_programs/run.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

/// "cuda:0"; empty where these tests are not asked for.
std::string device_id() {
  const char* device = std::getenv("ASSAY_DEVICE");
  return device ? device : "";
}

/// Where the project is: on another machine than it was built on, the environment says.
fs::path source_folder() {
  const char* folder = std::getenv("ASSAY_SOURCE");
  return folder ? folder : ASSAY_SOURCE_DIR;
}

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!device_id().starts_with("cuda:"))
      GTEST_SKIP() << "no GPU was asked for: ./assay test --device cuda:0";
  }

  static std::unique_ptr<Evaluator> evaluator(const std::string& device) {
    Evaluator::Options options;
    options.device = device;
    auto created = Evaluator::create(options);
    if (!created.ok()) throw std::runtime_error(created.error().message);
    return *std::move(created);
  }
};

TEST_F(GpuTest, ProgramsGiveTheSameOnBothDevices) {
  using namespace virtual_programs;
  const int ordinal = std::atoi(device_id().c_str() + 5);
  auto gpu = cuda::make_device(ordinal);
  ASSERT_TRUE(gpu.ok()) << gpu.error().message;
  const auto host = make_virtual_device("sm_90", 1);
  size_t equal = 0, within = 0;
  for (const Program& program : all_programs()) {
    const std::span<const Program> alone(&program, 1);
    std::vector<uint64_t> outputs[2];
    for (const int side : {0, 1}) {
      Device& device = side == 0 ? *host : **gpu;
      const auto module = device.load(artifact_of(alone));
      ASSERT_TRUE(module.ok()) << program.name << ": " << module.error().message;
      auto ran = run_program(device, **module, program, 0);
      ASSERT_TRUE(ran.ok()) << program.name << ": " << ran.error().message;
      outputs[side] = *std::move(ran);
      EXPECT_EQ(mismatches(program, outputs[side]), "") << device.info().name;
    }
    ++(outputs[0] == outputs[1] ? equal : within);
    if (outputs[0] != outputs[1]) std::cout << "not the same bits: " << program.name << '\n';
  }
  std::cout << (*gpu)->info().name << ": " << equal << " programs agree in all bits, " << within
            << " within their bound\n";
}

TEST_F(GpuTest, StarterKernelsGiveTheSameOnBothDevices) {
  const auto gpu = evaluator(device_id());
  const auto host = evaluator("virtual");
  const auto catalogue = load_catalogue();
  ASSERT_TRUE(catalogue.ok()) << catalogue.error().message;
  EvaluateOptions options;
  options.seed = 20;
  options.keep_outputs = true;
  size_t tensors = 0, equal = 0;
  for (const Task& task : catalogue->tasks) {
    if (task.suite != "starter") continue;
    for (const char* kernel : {"reference", "naive", "expert"}) {
      const std::string where = task.id + "/" + kernel;
      const Candidate candidate = *Evaluator::reference_kernel(task, kernel);
      const Evaluation on_host = host->evaluate(task, candidate, options);
      ASSERT_EQ(on_host.outcome, Outcome::correct) << where << ": " << on_host.explanation;
      EvaluateOptions same = options;
      for (const CaseResult& result : on_host.cases) same.cases.push_back(result.name);
      const Evaluation on_gpu = gpu->evaluate(task, candidate, same);
      ASSERT_EQ(on_gpu.outcome, Outcome::correct) << where << ": " << on_gpu.explanation;
      for (size_t i = 0; i < on_host.cases.size(); ++i) {
        const CaseResult& a = on_host.cases[i];
        const CaseResult& b = on_gpu.cases[i];
        for (const auto& [name, bytes] : a.report.outputs) {
          const std::string& other = b.report.outputs.at(name);
          ++tensors;
          equal += bytes == other;
          ASSERT_EQ(bytes.size(), other.size()) << where;
          const auto spec = std::ranges::find(task.tensors, name, &TensorSpec::name);
          ASSERT_NE(spec, task.tensors.end());
          // Exact ones to the bit; of the others each is within its tolerance of the same answer.
          if (!is_floating(spec->dtype)) {
            EXPECT_EQ(bytes, other) << where << ", case " << a.name << ", " << name;
          }
        }
      }
    }
  }
  EXPECT_GT(tensors, 100u);
  std::cout << equal << " of " << tensors << " outputs agree in all bits\n";
}

TEST_F(GpuTest, KnownCandidatesGetTheirVerdicts) {
  const auto gpu = evaluator(device_id());
  const auto catalogue = load_catalogue();
  ASSERT_TRUE(catalogue.ok()) << catalogue.error().message;
  std::map<std::string, const Task*> tasks;
  for (const Task& task : catalogue->tasks) tasks[task.id] = &task;
  std::vector<Known> candidates;
  for (const auto& entry : fs::directory_iterator(source_folder() / "tests/candidates"))
    if (entry.path().extension() == ".cu") candidates.push_back(read_known(entry.path()));
  std::vector<std::string> verdicts(candidates.size());  // "outcome reason: explanation"
  std::atomic<size_t> next = 0;
  const auto evaluate_some = [&] {
    for (size_t i; (i = next++) < candidates.size();) {
      const Known& known = candidates[i];
      EvaluateOptions options;
      options.run.deadline_seconds = 5;
      if (!known.only_case.empty()) options.cases = {known.only_case};
      const Evaluation evaluation = gpu->evaluate(
          *tasks.at(known.task), Candidate{"candidate.cu", known.source, false}, options);
      verdicts[i] = std::string(name(evaluation.outcome));
      if (!evaluation.reason.empty()) verdicts[i] += " " + evaluation.reason;
      verdicts[i] += ": " + evaluation.explanation;
      if (evaluation.wall_ms > 10'000)
        std::cout << known.file + " took " + std::to_string(evaluation.wall_ms / 1e3) + " s\n";
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i)
    threads.emplace_back(evaluate_some);
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < candidates.size(); ++i)
    EXPECT_TRUE(candidates[i].allows_on_gpu(verdicts[i].substr(0, verdicts[i].find(':'))))
        << candidates[i].file << ": " << verdicts[i];
  EXPECT_GE(candidates.size(), 100u);
}

}  // namespace
}  // namespace assay
