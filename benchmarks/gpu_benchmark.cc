// What timing on a GPU is worth, and how fast evaluations are there.
//
//   gpu_benchmark aa [RUNS [KERNEL [TASK]]]
//                                      the same kernel on both sides, four workloads or those of
//                                      one task, in fresh processes: how many intervals cover 1,
//                                      half-widths, spread
//   gpu_benchmark latency [COUNT]      fresh candidates one after another, from source to verdict
//   gpu_benchmark throughput [COUNT [DEVICE]]
//                                      a mixed batch of distinct candidates on all cores
//   gpu_benchmark faults [COUNT]       what a fault costs the candidate behind it
//
// Candidates are the starter suite's own kernels with a comment that nobody has compiled yet, so
// that nothing of theirs is cached. Needs cuda:0.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "evaluator/compile/compiler.h"
#include "evaluator/compile/entry.h"
#include "evaluator/evaluate.h"
#include "evaluator/record/recorder.h"
#include "evaluator/runner/runner.h"
#include "evaluator/timing/statistics.h"

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The value, or the end of the program with a message.
template <typename T>
T must(Result<T> result) {
  if (result.ok()) return *std::move(result);
  fmt::print(stderr, "gpu_benchmark: {}\n", result.error().message);
  std::exit(3);
}

Task task_of(const std::string& id) { return must(find_task(must(load_catalogue()), id)); }

std::unique_ptr<Evaluator> make_evaluator(const std::string& device = "cuda:0") {
  Evaluator::Options options;
  options.device = device;
  return must(Evaluator::create(options));
}

// ---- A/A

struct Workload {
  const char* name;
  const char* task;
  double size;  // of every dimension
};
constexpr Workload kWorkloads[] = {{"5 us", "vector-add", 1.0e6},
                                   {"50 us", "vector-add", 1.55e7},
                                   {"5 ms", "vector-add", 1.6e9},
                                   {"50 us", "matmul", 512}};

/// A workload with the kernel on both sides, ready to be timed. `artifact` keeps what it compiles.
TimeJob same_kernel(const Workload& workload, const std::string& kernel, const DeviceInfo& device,
                    std::shared_ptr<const Artifact>& artifact) {
  const Task task = task_of(workload.task);
  CaseSpec spec = *std::ranges::find(task.cases, Role::timed, &CaseSpec::role);
  for (auto& [symbol, value] : spec.symbols) value = workload.size;
  TimeJob job;
  job.bound = must(bind(task, spec));
  CompileRequest request;
  request.source = must(Evaluator::reference_kernel(task, kernel)).source;
  request.entry = entry_source(task);
  request.arch = "sm_90a";
  artifact = must(must(Compiler::create())->compile(request)).artifact;
  job.candidate = job.baseline = artifact.get();
  RecordOutcome recorded = must(record(*artifact, job.bound, device));
  if (!recorded.plan) {
    fmt::print(stderr, "gpu_benchmark: {}\n", recorded.failure->explanation);
    std::exit(3);
  }
  job.candidate_plan = job.baseline_plan = *std::move(recorded.plan);
  job.budget = *budget_from_name("benchmark");
  return job;
}

int run_aa(int runs, const std::string& kernel, const std::string& task) {
  RunnerOptions options;
  options.warm_spare = true;
  const auto runner = must(Runner::start("cuda:0", options));
  std::random_device random;
  fmt::print("{}, {} kernels, budget benchmark, {} runs in fresh processes each\n",
             runner->info().name, kernel, runs);
  fmt::print("{:<20} {:>8} {:>12} {:>22} {:>14} {:>12} {:>10}\n", "", "us", "cover 1.0",
             "half-width max, mean", "ratio spread", "time spread", "wall s");
  for (const Workload& workload : kWorkloads) {
    if (!task.empty() && task != workload.task) continue;
    std::shared_ptr<const Artifact> artifact;
    TimeJob job = same_kernel(workload, kernel, runner->info(), artifact);
    std::vector<double> ratios, times, widths;
    int covered = 0, verdicts = 0;
    const auto start = Clock::now();
    for (int run = 0; run < runs; ++run) {
      job.seed = uint64_t{random()} << 32 | random();
      const TimingReport report = must(runner->time(job, true));
      if (report.violation || !(report.speedup > 0)) {
        fmt::print("  run {}: {} {}\n", run, report.stop_reason,
                   report.violation ? report.violation->explanation : report.verdict);
        continue;
      }
      ratios.push_back(report.speedup);
      times.push_back(report.candidate.median_us);
      const statistics::Interval& interval = report.speedup_interval;
      widths.push_back(100 * interval.half_width());
      covered += interval.low <= 1 && 1 <= interval.high;
      verdicts += report.verdict == "faster" || report.verdict == "slower";
    }
    const auto spread = [](const std::vector<double>& values) {
      const auto [low, high] = std::ranges::minmax(values);
      return 100 * (high / low - 1);
    };
    fmt::print(
        "{:<20} {:>8.2f} {:>6} of {:<3} {:>10.3f} {:>9.3f} % {:>12.3f} % {:>10.3f} % {:>10.1f}"
        "{}\n",
        fmt::format("{} {}", workload.task, workload.name), statistics::median(times), covered,
        ratios.size(), std::ranges::max(widths), statistics::median(widths), spread(ratios),
        spread(times), seconds_since(start),
        verdicts > 0 ? fmt::format("   {} called different", verdicts) : "");
    std::sort(ratios.begin(), ratios.end());
    fmt::print("         ratios {:.5f}\n", fmt::join(ratios, " "));
    std::fflush(stdout);
  }
  return 0;
}

// ---- Latency and throughput

/// The starter kernel with a comment nobody has compiled.
Candidate variant(const Task& task, const std::string& which, uint64_t number) {
  Candidate candidate = must(Evaluator::reference_kernel(task, which));
  candidate.source += fmt::format("\n// variant {:016x}\n", number);
  candidate.name = fmt::format("{}-{}", which, number);
  return candidate;
}

/// Three test cases and one timed case.
EvaluateOptions short_evaluation(const Task& task) {
  EvaluateOptions options;
  options.budget = "rl";
  int tests = 0;
  bool timed = false;
  for (const CaseSpec& spec : task.cases) {
    if (spec.role == Role::test && tests < 3) {
      options.cases.push_back(spec.name);
      ++tests;
    } else if (spec.role == Role::timed && !timed) {
      options.cases.push_back(spec.name);
      timed = true;
    }
  }
  return options;
}

double gpu_seconds(const Evaluation& evaluation) {
  double milliseconds = 0;
  for (const CaseResult& result : evaluation.cases) milliseconds += result.report.check_ms;
  return milliseconds / 1e3;
}

void expect_correct(const Evaluation& evaluation) {
  if (evaluation.outcome != Outcome::correct)
    fmt::print("  {} {}: {}: {}\n", evaluation.task_id, evaluation.candidate,
               name(evaluation.outcome), evaluation.explanation);
}

/// Precompiled headers and the experts' speeds are per machine, not per candidate.
void warm_up(Evaluator& evaluator, const std::vector<Task>& tasks) {
  std::random_device random;
  for (const Task& task : tasks)
    for (const char* which : {"naive", "expert"})
      expect_correct(
          evaluator.evaluate(task, variant(task, which, random()), short_evaluation(task)));
}

int run_latency(int count) {
  const auto evaluator = make_evaluator();
  const Task task = task_of("vector-add");
  warm_up(*evaluator, {task});
  std::random_device random;
  std::vector<double> walls, compiles, timings;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    const Evaluation evaluation = evaluator->evaluate(
        task, variant(task, i % 2 ? "naive" : "expert", random()), short_evaluation(task));
    walls.push_back(seconds_since(start));
    expect_correct(evaluation);
    compiles.push_back(evaluation.compile_ms / 1e3);
    timings.push_back(gpu_seconds(evaluation));
  }
  fmt::print(
      "{} fresh candidates of vector-add, 3 test cases and 1 timed case, budget rl\n"
      "source to verdict: median {:.3f} s ({:.3f} .. {:.3f}); of that compiling {:.3f} s, in "
      "the runner {:.3f} s\n",
      count, statistics::median(walls), std::ranges::min(walls), std::ranges::max(walls),
      statistics::median(compiles), statistics::median(timings));
  return 0;
}

int run_throughput(int count, const std::string& device) {
  const auto evaluator = make_evaluator(device);
  std::vector<Task> tasks;
  for (const char* id : {"vector-add", "row-softmax", "rmsnorm", "matmul", "prefix-sum",
                         "histogram", "transpose-padded", "gather"})
    tasks.push_back(task_of(id));
  warm_up(*evaluator, tasks);
  std::random_device random;
  const auto number = static_cast<size_t>(count);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::map<std::string, std::vector<double>> gpu_by_task;
  double gpu = 0;
  const auto start = Clock::now();
  const auto work = [&] {
    for (size_t i = next++; i < number; i = next++) {
      const Task& task = tasks[i % tasks.size()];
      const Evaluation evaluation = evaluator->evaluate(
          task, variant(task, i / tasks.size() % 2 ? "naive" : "expert", random()),
          short_evaluation(task));
      const std::lock_guard lock(mutex);
      expect_correct(evaluation);
      gpu += gpu_seconds(evaluation);
      gpu_by_task[task.id].push_back(gpu_seconds(evaluation));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(2u, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  const double wall = seconds_since(start);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  fmt::print(
      "{} distinct candidates of {} tasks, 3 test cases and 1 timed case each, budget rl\n"
      "{:.1f} s: {:.2f} a second; the GPU's runner busy {:.0f} % of the time; peak memory of "
      "the coordinator {} MB\n",
      count, tasks.size(), wall, count / wall, 100 * gpu / wall, usage.ru_maxrss / 1024);
  for (const auto& [task, seconds] : gpu_by_task)
    fmt::print("  {:<18} {:.3f} s in the runner (median)\n", task, statistics::median(seconds));
  return 0;
}

/// A kernel that writes where nothing is, which ends the runner's process.
Candidate faulting_candidate(const Task& task) {
  Candidate candidate = must(Evaluator::reference_kernel(task, "naive"));
  const std::string statement = "c[i] = a[i] + b[i];";
  candidate.source.replace(candidate.source.find(statement), statement.size(),
                           "c[i + (1ll << 36)] = 1;");
  candidate.name = "faults";
  return candidate;
}

int run_faults(int count) {
  const auto evaluator = make_evaluator();
  const Task task = task_of("vector-add");
  const Candidate good = must(Evaluator::reference_kernel(task, "naive"));
  const Candidate bad = faulting_candidate(task);
  EvaluateOptions options;
  options.cases = {task.cases.front().name};
  const auto milliseconds = [&](const Candidate& candidate, Outcome expected) {
    const auto start = Clock::now();
    const Evaluation evaluation = evaluator->evaluate(task, candidate, options);
    if (evaluation.outcome != expected)
      fmt::print("  {}: {}: {}\n", candidate.name, name(evaluation.outcome),
                 evaluation.explanation);
    return 1e3 * seconds_since(start);
  };
  milliseconds(good, Outcome::correct);  // compiled from here on
  milliseconds(bad, Outcome::runtime_fault);
  std::vector<double> usual, behind, fault;
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::seconds(1));  // the spare gets ready
    usual.push_back(milliseconds(good, Outcome::correct));
    fault.push_back(milliseconds(bad, Outcome::runtime_fault));
    behind.push_back(milliseconds(good, Outcome::correct));
  }
  fmt::print(
      "one case of vector-add, compiled before, milliseconds (median of {}): usual {:.1f}, a fault "
      "{:.1f}, a correct candidate behind a fault {:.1f}: {:.1f} more\n",
      count, statistics::median(usual), statistics::median(fault), statistics::median(behind),
      statistics::median(behind) - statistics::median(usual));
  return 0;
}

}  // namespace
}  // namespace assay

int main(int count, char** values) {
  const std::string what = count > 1 ? values[1] : "";
  const int number = count > 2 ? std::atoi(values[2]) : 0;
  if (what == "aa")
    return assay::run_aa(number > 0 ? number : 40, count > 3 ? values[3] : "naive",
                         count > 4 ? values[4] : "");
  if (what == "latency") return assay::run_latency(number > 0 ? number : 15);
  if (what == "throughput")
    return assay::run_throughput(number > 0 ? number : 200, count > 3 ? values[3] : "cuda:0");
  if (what == "faults") return assay::run_faults(number > 0 ? number : 15);
  fmt::print(
      stderr,
      "usage: gpu_benchmark aa [RUNS [naive|expert [TASK]]] | latency [COUNT] | faults [COUNT] |\n"
      "       throughput [COUNT [DEVICE]]\n");
  return 2;
}
