#include "evaluator/device/cuda/calibration.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/install.h"
#include "evaluator/timing/statistics.h"

namespace assay::cuda {

namespace {

constexpr int kRounds = 15;
constexpr double kBurstMs = 2.5;
constexpr std::chrono::duration<double> kDeadline{10};
constexpr uint32_t kEmptyCalls = 1000;

/// A pipe: how many operations one thread does in one step.
struct Pipe {
  const char* unit;
  const char* kernel;
  double operations;
  uint32_t blocks_per_multiprocessor;
};

constexpr double kChainOperations = 8 * 2;  // kChains multiply-adds
/// A warpgroup's step over its 128 threads: 64 x 256 x K, K being 128 bytes of inputs.
constexpr double tensor_operations(int bytes) { return 2.0 * 64 * 256 * (128.0 / bytes) / 128; }

constexpr Pipe kPipes[] = {{"fp32", "assay_fp32", kChainOperations, 8},
                           {"fp64", "assay_fp64", kChainOperations, 8},
                           {"int32", "assay_int32", kChainOperations, 8},
                           {"tc16", "assay_tc16", tensor_operations(2), 1},
                           {"tf32", "assay_tf32", tensor_operations(4), 1},
                           {"fp8", "assay_fp8", tensor_operations(1), 1},
                           {"int8", "assay_int8", tensor_operations(1), 1}};

class Calibration {
 public:
  Calibration(const Context& context, TrustedModule& trusted)
      : context_(context), driver_(context.driver()), trusted_(trusted) {}
  ~Calibration() {
    if (from_) driver_.cuMemFree_v2(from_);
    if (to_) driver_.cuMemFree_v2(to_);
    if (begin_) driver_.cuEventDestroy_v2(begin_);
    if (end_) driver_.cuEventDestroy_v2(end_);
    if (executable_) driver_.cuGraphExecDestroy(executable_);
    if (graph_) driver_.cuGraphDestroy(graph_);
    if (module_) driver_.cuModuleUnload(module_);
  }

  Result<DeviceProfile> run() {
    ASSIGN_OR_RETURN(const auto path, installed_file("lib/assay/calibration.fatbin"));
    ASSIGN_OR_RETURN(const std::string image, read_file(path));
    RETURN_IF_ERROR(check(driver_.cuModuleLoadDataEx(&module_, image.data(), 0, nullptr, nullptr),
                          "loading the calibration kernels"));
    RETURN_IF_ERROR(check(driver_.cuEventCreate(&begin_, CU_EVENT_DEFAULT), "events"));
    RETURN_IF_ERROR(check(driver_.cuEventCreate(&end_, CU_EVENT_DEFAULT), "events"));
    DeviceProfile profile;
    profile.device = context_.info().name;
    profile.source = "measured";
    profile.l2_bytes = context_.info().l2_bytes;
    ASSIGN_OR_RETURN(profile.bytes_per_second, copy_rate());
    for (const Pipe& pipe : kPipes) {
      ASSIGN_OR_RETURN(const double rate, pipe_rate(pipe));
      if (rate > 0) profile.per_second[pipe.unit] = rate;
    }
    ASSIGN_OR_RETURN(profile.launch_us, launch_us());
    return profile;
  }

 private:
  using Work = std::function<Result<void>()>;

  Result<void> check(CUresult result, const char* what) const {
    return expect(driver_, result, what);
  }

  /// Milliseconds between two events around `work`.
  Result<double> elapsed_ms(const Work& work) {
    RETURN_IF_ERROR(check(driver_.cuEventRecord(begin_, context_.stream()), "timing"));
    RETURN_IF_ERROR(work());
    RETURN_IF_ERROR(check(driver_.cuEventRecord(end_, context_.stream()), "timing"));
    RETURN_IF_ERROR(check(context_.wait(kDeadline), "running a calibration kernel"));
    float milliseconds = 0;
    RETURN_IF_ERROR(check(driver_.cuEventElapsedTime_v2(&milliseconds, begin_, end_), "timing"));
    return static_cast<double>(milliseconds);
  }

  /// Median over rounds, with pauses as long as the work; the first rounds warm up.
  Result<double> median_ms(const Work& work) {
    std::vector<double> times;
    for (int round = -3; round < kRounds; ++round) {
      ASSIGN_OR_RETURN(const double milliseconds, elapsed_ms(work));
      if (round >= 0) times.push_back(milliseconds);
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(milliseconds));
    }
    return statistics::median(times);
  }

  Result<void> launch(CUfunction function, uint32_t blocks, uint32_t threads, void** arguments) {
    CUlaunchConfig config{};
    config.gridDimX = blocks;
    config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = threads;
    config.blockDimY = config.blockDimZ = 1;
    config.hStream = context_.stream();
    return check(driver_.cuLaunchKernelEx(&config, function, arguments, nullptr),
                 "launching a calibration kernel");
  }

  /// Reads and writes far more than the L2 holds; both directions count.
  Result<double> copy_rate() {
    size_t free_bytes = 0, total_bytes = 0;
    driver_.cuMemGetInfo_v2(&free_bytes, &total_bytes);
    const uint64_t bytes =
        std::min<uint64_t>(std::max<uint64_t>(uint64_t{2} << 30, 20 * context_.info().l2_bytes),
                           free_bytes / 4) /
        4096 * 4096;
    RETURN_IF_ERROR(check(driver_.cuMemAlloc_v2(&from_, bytes), "allocating"));
    RETURN_IF_ERROR(check(driver_.cuMemAlloc_v2(&to_, bytes), "allocating"));
    RETURN_IF_ERROR(check(driver_.cuMemsetD8Async(from_, 0x5a, bytes, context_.stream()), "clear"));
    CUfunction function = nullptr;
    RETURN_IF_ERROR(check(driver_.cuModuleGetFunction(&function, module_, "assay_copy"), "copy"));
    double best = 0;
    for (const uint32_t blocks : {4u, 8u, 16u}) {
      uint64_t count = bytes / 16;
      void* arguments[] = {&from_, &to_, &count};
      ASSIGN_OR_RETURN(const double milliseconds, median_ms([&] {
                         return launch(function, blocks * context_.info().multiprocessors, 256,
                                       arguments);
                       }));
      best = std::max(best, 2e3 * static_cast<double>(bytes) / milliseconds);
    }
    ASSIGN_OR_RETURN(const double driver_ms, median_ms([&] {
                       return check(
                           driver_.cuMemcpyDtoDAsync_v2(to_, from_, bytes, context_.stream()),
                           "copying");
                     }));
    return std::max(best, 2e3 * static_cast<double>(bytes) / driver_ms);
  }

  Result<double> pipe_rate(const Pipe& pipe) {
    if (std::string_view(pipe.unit) == "fp8" && context_.info().compute_major < 9) return 0.0;
    CUfunction function = nullptr;
    RETURN_IF_ERROR(
        check(driver_.cuModuleGetFunction(&function, module_, pipe.kernel), pipe.kernel));
    const uint32_t blocks = pipe.blocks_per_multiprocessor * context_.info().multiprocessors;
    uint32_t steps = 512;
    void* arguments[] = {&from_, &steps};
    const auto work = [&] { return launch(function, blocks, 256, arguments); };
    ASSIGN_OR_RETURN(double milliseconds, elapsed_ms(work));
    ASSIGN_OR_RETURN(milliseconds, elapsed_ms(work));
    const double wanted = steps * kBurstMs / std::max(milliseconds, 1e-3);
    steps = static_cast<uint32_t>(std::clamp(wanted, 64.0, 1e8)) / 16 * 16;
    ASSIGN_OR_RETURN(milliseconds, median_ms(work));
    return 1e3 * pipe.operations * steps * blocks * 256.0 / milliseconds;
  }

  Result<double> launch_us() {
    RETURN_IF_ERROR(check(
        driver_.cuStreamBeginCapture_v2(context_.stream(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
        "starting a capture"));
    Result<void> captured;
    for (uint32_t i = 0; i < kEmptyCalls && captured.ok(); ++i)
      captured = trusted_.empty(context_.stream(), {1, 1, 1}, {32, 1, 1}, 0);
    const CUresult ended = driver_.cuStreamEndCapture(context_.stream(), &graph_);
    RETURN_IF_ERROR(captured);
    RETURN_IF_ERROR(check(ended, "ending a capture"));
    RETURN_IF_ERROR(check(driver_.cuGraphInstantiateWithFlags(&executable_, graph_, 0), "a graph"));
    ASSIGN_OR_RETURN(const double milliseconds, median_ms([&] {
                       return check(driver_.cuGraphLaunch(executable_, context_.stream()),
                                    "launching a graph");
                     }));
    return 1e3 * milliseconds / kEmptyCalls;
  }

  const Context& context_;
  const Driver& driver_;
  TrustedModule& trusted_;
  CUmodule module_ = nullptr;
  CUdeviceptr from_ = 0, to_ = 0;
  CUevent begin_ = nullptr, end_ = nullptr;
  CUgraph graph_ = nullptr;
  CUgraphExec executable_ = nullptr;
};

}  // namespace

Result<DeviceProfile> measure_profile(const Context& context, TrustedModule& trusted) {
  return Calibration(context, trusted).run();
}

}  // namespace assay::cuda
