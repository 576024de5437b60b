#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "evaluator/outcome.h"
#include "tests/reference_kernels/bench.h"
#include "tests/reference_kernels/cpu_reference.h"
#include "tests/tasks/part_of_tasks.h"

namespace assay {

namespace {

constexpr uint64_t kSeed = 20240611;

std::vector<double> widened(Dtype dtype, const std::string& bytes) {
  std::vector<double> values;
  for (size_t at = 0; at < bytes.size(); at += size_bytes(dtype))
    values.push_back(to_double(dtype, bytes.data() + at));
  return values;
}

CpuCase cpu_case(const BoundCase& bound, const CheckReport& report) {
  CpuCase result;
  for (const BoundTensor& tensor : bound.tensors)
    if (tensor.direction != Direction::out)
      result.tensors[tensor.name] = widened(tensor.dtype, report.inputs.at(tensor.name));
    else if (!bound.evidence.empty())
      result.tensors[tensor.name] = widened(tensor.dtype, report.expected.at(tensor.name));
  for (const BoundScalar& scalar : bound.scalars)
    result.scalars[scalar.name] = is_floating(scalar.dtype) ? rounded(scalar.dtype, scalar.real)
                                                            : static_cast<double>(scalar.integer);
  return result;
}

/// What the oracle must reproduce: all outputs, or, where these are not unique, the evidence.
std::vector<BoundTensor> unique_outputs(const BoundCase& bound) {
  if (!bound.evidence.empty()) return bound.evidence;
  std::vector<BoundTensor> outputs = bound.tensors;
  std::erase_if(outputs,
                [](const BoundTensor& tensor) { return tensor.direction == Direction::in; });
  return outputs;
}

/// The distance between neighbouring numbers of the dtype, relative to their size, at most.
double relative_step(Dtype dtype) {
  return is_floating(dtype) ? 1 / largest_exact_integer(dtype) : 0;
}

/// A double-precision result, rounded, may differ from another one only where both lie close to the
/// middle between two numbers of the dtype: rarely, and by one step.
void expect_same_but_for_ties(Dtype dtype, const std::vector<double>& got,
                              const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  double largest = 0;
  for (const double value : want)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  size_t different = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double rounded_want = rounded(dtype, want[i]);
    if (got[i] == rounded_want) continue;
    // What cancels to 0 leaves the rounding of double-precision sums, which has no digits in
    // common.
    if (is_floating(dtype) && std::abs(got[i] - rounded_want) < 1e-15 * largest) continue;
    if (dtype == Dtype::f64) {  // nothing is rounded: only the order of sums shows
      ASSERT_NEAR(got[i], want[i], 1e-12 * (1 + std::abs(want[i]))) << "element " << i;
      continue;
    }
    ++different;
    // Two steps of the larger binade; denormal results have absolute steps.
    ASSERT_NEAR(got[i], rounded_want, 2 * relative_step(dtype) * std::abs(rounded_want) + 1e-44)
        << "element " << i;
  }
  EXPECT_LE(different, is_floating(dtype) ? got.size() / 500 : 0);
}

class ReferenceKernels : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const Result<Bench*> bench = Bench::shared();
    ASSERT_TRUE(bench.ok()) << bench.error().message;
    bench_ = *bench;
    const Result<Task> task = find_task(bench_->catalogue(), GetParam());
    ASSERT_TRUE(task.ok()) << task.error().message;
    task_ = *task;
  }

  /// Calls use(bound) for each case that the virtual device takes, the timed ones left out.
  template <typename Use>
  void for_each_case(Use use) {
    for (const CaseSpec& spec : task_.cases) {
      if (!spec.on_virtual) continue;
      SCOPED_TRACE("case " + spec.name);
      const Result<BoundCase> bound = bind(task_, spec);
      ASSERT_TRUE(bound.ok()) << bound.error().message;
      use(*bound);
    }
  }

  void expect_correct(const std::string& kernel) {
    for_each_case([&](const BoundCase& bound) {
      const Result<CheckReport> report = bench_->run(task_, bound, kernel, kSeed);
      ASSERT_TRUE(report.ok()) << report.error().message;
      EXPECT_EQ(name(report->outcome), name(Outcome::correct)) << report->explanation;
    });
  }

  Bench* bench_ = nullptr;
  Task task_;
};

TEST_P(ReferenceKernels, BindsAllItsCases) {
  for (const CaseSpec& spec : task_.cases) {
    const Result<BoundCase> bound = bind(task_, spec);
    EXPECT_TRUE(bound.ok()) << spec.name << ": " << bound.error().message;
  }
}

TEST_P(ReferenceKernels, StatesTheDeclarationOfSolve) {
  EXPECT_NE(task_.statement.find(task_.signature()), std::string::npos)
      << "statement.md lacks " << task_.signature();
}

TEST_P(ReferenceKernels, ReferenceAgreesWithTheCpuInDoublePrecision) {
  const auto cpu = cpu_references().find(task_.id);
  ASSERT_NE(cpu, cpu_references().end()) << "write an oracle from the statement and list it";
  for_each_case([&](const BoundCase& bound) {
    const Result<CheckReport> report = bench_->run(task_, bound, "reference", kSeed);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(name(report->outcome), name(Outcome::correct)) << report->explanation;
    const CpuOutputs expected = cpu->second(cpu_case(bound, *report));
    for (const BoundTensor& output : unique_outputs(bound)) {
      SCOPED_TRACE("output " + output.name);
      ASSERT_TRUE(expected.contains(output.name));
      expect_same_but_for_ties(output.dtype,
                               widened(output.dtype, report->expected.at(output.name)),
                               expected.at(output.name));
    }
  });
}

TEST_P(ReferenceKernels, NaiveKernelIsCorrect) { expect_correct("naive"); }

TEST_P(ReferenceKernels, ExpertKernelIsCorrect) { expect_correct("expert"); }

INSTANTIATE_TEST_SUITE_P(All, ReferenceKernels, testing::ValuesIn(PartOfTasks::shared().ids()),
                         [](const auto& instance) {
                           std::string id = instance.param;
                           std::ranges::replace(id, '-', '_');
                           return id;
                         });

}  // namespace

}  // namespace assay
