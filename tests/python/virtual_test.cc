// Candidates recorded by python/assay_triton: the plan is one that assay reads and accepts, and the
// PTX gives right values on the virtual device.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "evaluator/compile/ptx_header.h"
#include "evaluator/plan/plan.h"
#include "tests/virtual/rig.h"

namespace assay {
namespace {

const std::filesystem::path kSources = ASSAY_SOURCE_DIR;
constexpr uint64_t kBase = uint64_t{1} << 44;

struct Recorded {
  LaunchPlan plan;
  Artifact artifact;
};

nlohmann::json tensor(std::vector<uint64_t> shape, const std::string& dtype = "f32") {
  return {{"tensor", {{"dtype", dtype}, {"shape", std::move(shape)}}}};
}

nlohmann::json scalar(double value) { return {{"scalar", value}}; }
nlohmann::json scalar(int value) { return {{"scalar", value}}; }

std::string candidate(const std::string& name) {
  return read_file(kSources / "tests/python/candidates" / (name + ".py")).value();
}

class TritonVirtual : public testing::Test {
 protected:
  void SetUp() override {
    const char* home = std::getenv("ASSAY_TRITON_HOME");
    if (home == nullptr)
      GTEST_SKIP() << "ASSAY_TRITON_HOME is not set; ./assay test installs Triton and sets it";
    python_ = std::filesystem::path(home) / "bin/python";
  }

  /// What the recorder makes of `source`, whose one kernel is the artifact's.
  Recorded record(const std::string& source, const nlohmann::json& arguments) {
    const auto folder = TemporaryFolder::create("assay-triton").value();
    const auto path = [&folder](const char* name) { return folder.path() / name; };
    const nlohmann::json request = {
        {"arguments", arguments},
        {"device", {{"arch", "sm_80"}, {"shared_bytes", 166'912}, {"multiprocessors", 108}}},
        {"choice", nlohmann::json::array()},
        {"bases", {kBase}}};
    EXPECT_TRUE(write_file(path("candidate.py"), source).ok());
    EXPECT_TRUE(write_file(path("request.json"), request.dump()).ok());
    const std::string command = fmt::format(
        "cd '{0}' && env -i HOME='{0}' TRITON_CACHE_DIR='{0}/cache' PATH=/usr/bin:/bin "
        "PYTHONDONTWRITEBYTECODE=1 PYTHONPATH='{1}' '{2}' -m assay_triton.record",
        folder.path().string(), (kSources / "python").string(), python_.string());
    EXPECT_EQ(std::system(command.c_str()), 0);
    if (std::filesystem::exists(path("0.failure"))) {
      ADD_FAILURE() << read_file(path("0.failure")).value();
      return {};
    }
    Recorded recorded;
    recorded.artifact.arch = "sm_80";
    recorded.artifact.ptx = read_file(path("0.module.ptx")).value();
    recorded.artifact.kernels = parse_ptx_header(recorded.artifact.ptx).value().kernels;
    recorded.plan = parse_plan(read_file(path("0.plan.json")).value()).value();
    return recorded;
  }

  std::filesystem::path python_;
};

BoundTensor bound_tensor(uint64_t elements, Dtype dtype = Dtype::f32) {
  BoundTensor tensor;
  tensor.dtype = dtype;
  tensor.shape = {elements};
  tensor.elements = elements;
  return tensor;
}

std::string problem_of(const Recorded& recorded, std::vector<BoundTensor> tensors,
                       const Device& device) {
  BoundCase bound;
  bound.tensors = std::move(tensors);
  const auto problem = validate(recorded.plan, recorded.artifact, bound, device.info());
  return problem ? problem->explanation : "";
}

/// Values between -1 and 1 without a pattern that sums would hide.
std::vector<float> values(size_t count) {
  std::vector<float> result(count);
  uint32_t state = 1;
  for (float& value : result) {
    state = state * 1'664'525 + 1'013'904'223;
    value = static_cast<float>(state >> 8) / (1 << 23) - 1;
  }
  return result;
}

std::vector<_Float16> halves(const std::vector<float>& from) { return {from.begin(), from.end()}; }

TEST_F(TritonVirtual, AddsVectorsWhoseLengthIsNoMultipleOfTheBlock) {
  constexpr int kCount = 1000;
  const Recorded recorded = record(candidate("vector_add"), {tensor({kCount}), tensor({kCount}),
                                                             tensor({kCount}), scalar(kCount)});
  rig::Bench bench(recorded.artifact.ptx);
  EXPECT_EQ(problem_of(recorded, std::vector<BoundTensor>(3, bound_tensor(kCount)), *bench.device),
            "");
  const std::vector<float> all = values(2 * kCount);
  const std::vector<float> x(all.begin(), all.begin() + kCount), y(all.begin() + kCount, all.end());
  bench.tensor("x", x);
  bench.tensor("y", y);
  bench.tensor("out", std::vector<float>(kCount, -7));
  EXPECT_EQ(rig::fault_of(bench.run_plan(recorded.plan)), "");
  const std::vector<float> out = bench.read<float>("out");
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(out[i], x[i] + y[i]) << i;
}

TEST_F(TritonVirtual, SeesWhatAMissingMaskReads) {
  std::string source = candidate("vector_add");
  const std::string masked = "tl.load(y + i, mask)";
  source.replace(source.find(masked), masked.size(), "tl.load(y + i)");
  const Recorded recorded =
      record(source, {tensor({1000}), tensor({1000}), tensor({1000}), scalar(1000)});
  rig::Bench bench(recorded.artifact.ptx);
  for (const char* name : {"x", "y", "out"}) bench.tensor(name, values(1000));
  const RunReport report = bench.run_plan(recorded.plan);
  ASSERT_TRUE(report.fault);
  EXPECT_EQ(report.fault->kind, Fault::Kind::illegal_address);
  EXPECT_NE(report.fault->explanation.find("tensor y"), std::string::npos)
      << report.fault->explanation;
}

TEST_F(TritonVirtual, TakesSoftmaxOfRowsThroughSharedMemory) {
  constexpr int kRows = 3, kColumns = 1000;
  const Recorded recorded =
      record(candidate("softmax"), {tensor({kRows, kColumns}), tensor({kRows, kColumns})});
  rig::Bench bench(recorded.artifact.ptx);
  EXPECT_EQ(problem_of(recorded, std::vector<BoundTensor>(2, bound_tensor(kRows * kColumns)),
                       *bench.device),
            "");
  const std::vector<float> x = values(kRows * kColumns);
  bench.tensor("x", x);
  bench.tensor("out", std::vector<float>(x.size(), -7));
  EXPECT_EQ(rig::fault_of(bench.run_plan(recorded.plan)), "");
  const std::vector<float> out = bench.read<float>("out");
  for (int row = 0; row < kRows; ++row) {
    double sum = 0;
    for (int i = 0; i < kColumns; ++i) sum += std::exp(double{x[row * kColumns + i]});
    for (int i = row * kColumns; i < (row + 1) * kColumns; ++i) {
      const double want = std::exp(double{x[i]}) / sum;
      ASSERT_NEAR(out[i], want, 1e-6 * want) << i;
    }
  }
}

TEST_F(TritonVirtual, NormalisesRowsOfHalvesWithAScalarFromTheTask) {
  constexpr int kRows = 5, kColumns = 640;
  constexpr double kEps = 0.25;  // large, so that leaving it out would be seen
  const Recorded recorded =
      record(candidate("rmsnorm"), {tensor({kRows, kColumns}, "f16"), tensor({kColumns}, "f16"),
                                    tensor({kRows, kColumns}, "f16"), scalar(kEps)});
  rig::Bench bench(recorded.artifact.ptx);
  const BoundTensor rows = bound_tensor(kRows * kColumns, Dtype::f16);
  EXPECT_EQ(problem_of(recorded, {rows, bound_tensor(kColumns, Dtype::f16), rows}, *bench.device),
            "");
  const std::vector<_Float16> x = halves(values(kRows * kColumns)), w = halves(values(kColumns));
  bench.tensor("x", x);
  bench.tensor("w", w);
  bench.tensor("out", std::vector<_Float16>(x.size(), static_cast<_Float16>(-7)));
  EXPECT_EQ(rig::fault_of(bench.run_plan(recorded.plan)), "");
  const std::vector<_Float16> out = bench.read<_Float16>("out");
  for (int row = 0; row < kRows; ++row) {
    double squares = 0;
    for (int i = 0; i < kColumns; ++i) squares += std::pow(double{x[row * kColumns + i]}, 2);
    const double scale = 1 / std::sqrt(squares / kColumns + kEps);
    for (int i = 0; i < kColumns; ++i) {
      const double want = double{x[row * kColumns + i]} * scale * double{w[i]};
      // Half an ulp of f16, and room for f32 arithmetic before it.
      ASSERT_NEAR(double{out[row * kColumns + i]}, want, std::abs(want) * 5e-4 + 3.1e-8)
          << row << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace assay
