// A plan against the artifact, the case and the device: one problem a test.
#include <gtest/gtest.h>

#include <functional>

#include "evaluator/plan/limits.h"
#include "tests/plan/sample.h"

namespace assay {
namespace {

const DeviceInfo kDevice = default_device_info("sm_90");

std::optional<PlanProblem> problem_after(const std::function<void(LaunchPlan&)>& change,
                                         const DeviceInfo& device = kDevice) {
  LaunchPlan plan = sample::plan();
  change(plan);
  return validate(plan, sample::artifact(), sample::bound(), device);
}

void expect_problem(const std::function<void(LaunchPlan&)>& change, const std::string& reason,
                    const std::string& says, const DeviceInfo& device = kDevice) {
  const auto problem = problem_after(change, device);
  ASSERT_TRUE(problem) << "wanted: " << says;
  EXPECT_EQ(problem->reason, reason);
  EXPECT_EQ(problem->launch_limits, reason == "launch_limits");
  EXPECT_NE(problem->explanation.find(says), std::string::npos) << problem->explanation;
}

Launch& step(LaunchPlan& plan) { return std::get<Launch>(plan.operations[2].action); }
Launch& mapped(LaunchPlan& plan) { return std::get<Launch>(plan.operations[3].action); }
Memset& memset_of(LaunchPlan& plan) { return std::get<Memset>(plan.operations[0].action); }
Copy& literal(LaunchPlan& plan) { return std::get<Copy>(plan.operations[1].action); }
Copy& copy_of(LaunchPlan& plan) { return std::get<Copy>(plan.operations[4].action); }
ElementCopy& elements_of(LaunchPlan& plan) {
  return std::get<ElementCopy>(plan.operations[5].action);
}

TEST(Validate, AcceptsAValidPlan) {
  const auto problem = problem_after([](LaunchPlan&) {});
  EXPECT_FALSE(problem) << problem->explanation;
}

TEST(Validate, RefusesUnknownKernels) {
  expect_problem([](LaunchPlan& plan) { step(plan).kernel = "other"; }, "bad_plan",
                 "launches 'other'");
}

TEST(Validate, RefusesParametersOfAnotherSize) {
  expect_problem([](LaunchPlan& plan) { step(plan).parameters += '\0'; }, "bad_plan",
                 "21 bytes of parameters, the kernel takes 20");
}

TEST(Validate, RefusesRelocationsOutsideTheParameters) {
  expect_problem([](LaunchPlan& plan) { step(plan).relocations[1].offset = 13; }, "bad_plan",
                 "a relocation at byte 13");
  expect_problem([](LaunchPlan& plan) { step(plan).relocations[1].offset = UINT32_MAX; },
                 "bad_plan", "a relocation at byte 4294967295");
}

TEST(Validate, RefusesOverlappingRelocations) {
  expect_problem([](LaunchPlan& plan) { step(plan).relocations[1].offset = 7; }, "bad_plan",
                 "overlaps another");
}

TEST(Validate, RefusesPointersToNoAllocation) {
  expect_problem([](LaunchPlan& plan) { step(plan).relocations[0].target.allocation = 4; },
                 "bad_plan", "allocation 4, which does not exist");
}

TEST(Validate, RefusesPointersFarOutsideTheirAllocation) {
  const int64_t slack = plan_limits::kPointerSlackBytes;
  EXPECT_FALSE(problem_after(
      [&](LaunchPlan& plan) { step(plan).relocations[0].target.offset = 4000 + slack; }));
  expect_problem([&](LaunchPlan& plan) { step(plan).relocations[0].target.offset = 4001 + slack; },
                 "invalid_argument", "far outside");
  expect_problem([&](LaunchPlan& plan) { step(plan).relocations[0].target.offset = -slack - 1; },
                 "invalid_argument", "from the start of tensor x");
}

TEST(Validate, RefusesGridsAndBlocksOutsideTheLimits) {
  expect_problem([](LaunchPlan& plan) { step(plan).grid.x = 0; }, "launch_limits", "(0, 1, 1)");
  expect_problem([](LaunchPlan& plan) { step(plan).grid.x = 1u << 31; }, "launch_limits",
                 "1 to 2147483647 blocks in x");
  expect_problem([](LaunchPlan& plan) { step(plan).grid.y = 65536; }, "launch_limits",
                 "1 to 65535 blocks in y");
  expect_problem(
      [](LaunchPlan& plan) {
        step(plan).block = {1, 1, 65};
      },
      "launch_limits", "1 to 64 threads in z");
  expect_problem(
      [](LaunchPlan& plan) {
        step(plan).block = {64, 32, 1};
      },
      "launch_limits", "has 2048 threads, the device allows 1024");
}

TEST(Validate, RefusesBlocksAboveLaunchBounds) {
  expect_problem([](LaunchPlan& plan) { step(plan).block.x = 513; }, "launch_limits",
                 "__launch_bounds__ promise at most 512");
}

TEST(Validate, RefusesBlocksThatNeedTooManyRegisters) {
  expect_problem([](LaunchPlan& plan) { mapped(plan).block.x = 544; }, "launch_limits",
                 "544 threads with 128 registers");
}

TEST(Validate, RefusesTooMuchSharedMemory) {
  EXPECT_FALSE(
      problem_after([](LaunchPlan& plan) { step(plan).dynamic_shared_bytes = 226 << 10; }));
  expect_problem([](LaunchPlan& plan) { step(plan).dynamic_shared_bytes = (226 << 10) + 1; },
                 "launch_limits", "the device allows 232448");
}

TEST(Validate, RefusesClustersThatCannotBe) {
  expect_problem(
      [](LaunchPlan& plan) {
        mapped(plan).cluster = {3, 1, 1};
      },
      "launch_limits", "not a multiple of the cluster");
  expect_problem(
      [](LaunchPlan& plan) {
        mapped(plan).cluster = {16, 1, 1};
      },
      "launch_limits", "allows 1 to 8");
  expect_problem(
      [](LaunchPlan& plan) {
        mapped(plan).cluster = {2, 0, 1};
      },
      "launch_limits", "a cluster of (2, 0, 1) blocks");
}

TEST(Validate, RefusesWhatOlderDevicesLack) {
  const DeviceInfo old = default_device_info("sm_80");
  expect_problem([](LaunchPlan&) {}, "launch_limits", "tensor maps need sm_90", old);
  expect_problem([](LaunchPlan& plan) { step(plan).programmatic = true; }, "launch_limits",
                 "programmatic dependent launch needs sm_90", old);
  expect_problem(
      [](LaunchPlan& plan) {
        step(plan).cluster = {2, 1, 1};
      },
      "launch_limits", "clusters need sm_90 or later, the target is sm_80", old);
}

TEST(Validate, RefusesCooperativeLaunchesThatDoNotFitAtOnce) {
  // 128 registers: 16 warps, so 8 blocks of 64 threads on each of 132 multiprocessors.
  EXPECT_FALSE(problem_after([](LaunchPlan& plan) { mapped(plan).grid = {1056, 1, 1}; }));
  expect_problem(
      [](LaunchPlan& plan) {
        mapped(plan).grid = {1058, 1, 1};
      },
      "launch_limits", "only 1056 fit");
}

TEST(Validate, RefusesTensorMapsThatAreWrong) {
  expect_problem([](LaunchPlan& plan) { mapped(plan).tensor_maps[0].offset = 32; }, "bad_plan",
                 "not 64-byte aligned");
  expect_problem([](LaunchPlan& plan) { mapped(plan).tensor_maps[0].offset = 64; }, "bad_plan",
                 "outside the parameters");
  expect_problem([](LaunchPlan& plan) { mapped(plan).relocations[0].offset = 120; }, "bad_plan",
                 "inside a tensor map");
  expect_problem([](LaunchPlan& plan) { mapped(plan).tensor_maps[0].dimensions[1] = 63; },
                 "invalid_argument", "past the end of tensor x");
  expect_problem(
      [](LaunchPlan& plan) { mapped(plan).tensor_maps[0].strides_bytes[0] = UINT64_MAX; },
      "invalid_argument", "past the end of tensor x");
  expect_problem([](LaunchPlan& plan) { mapped(plan).tensor_maps[0].data_type = 13; }, "bad_plan",
                 "unknown type");
}

TEST(Validate, RefusesMemsetsOutsideTheirAllocation) {
  expect_problem([](LaunchPlan& plan) { memset_of(plan).target.offset = 8192 - 1635; },
                 "invalid_argument", "1636 bytes from byte 6557 on do not fit");
  expect_problem([](LaunchPlan& plan) { memset_of(plan).target.offset = -1; }, "invalid_argument",
                 "the scratch buffer of 8192 bytes");
  expect_problem([](LaunchPlan& plan) { memset_of(plan).height = uint64_t{1} << 32; },
                 "invalid_argument", "do not fit");
  expect_problem([](LaunchPlan& plan) { memset_of(plan).width_bytes = 0; }, "bad_plan", "no bytes");
}

TEST(Validate, RefusesOverlappingRows) {
  expect_problem([](LaunchPlan& plan) { memset_of(plan).pitch_bytes = 99; }, "invalid_argument",
                 "rows of 100 bytes overlap at a pitch of 99");
}

TEST(Validate, RefusesMisalignedMemsets) {
  expect_problem([](LaunchPlan& plan) { memset_of(plan).element_bytes = 8; }, "bad_plan",
                 "1, 2 or 4 bytes");
  expect_problem(
      [](LaunchPlan& plan) {
        memset_of(plan).element_bytes = 4;
        memset_of(plan).target.offset = 2;
      },
      "bad_plan", "not aligned");
}

TEST(Validate, RefusesCopiesOutsideTheirAllocations) {
  expect_problem([](LaunchPlan& plan) { copy_of(plan).target.offset = 401; }, "invalid_argument",
                 "into its target: 3600 bytes from byte 401 on do not fit into tensor y");
  expect_problem([](LaunchPlan& plan) { copy_of(plan).source.offset = 4600; }, "invalid_argument",
                 "from its source");
  expect_problem([](LaunchPlan& plan) { literal(plan).target.offset = 62; }, "invalid_argument",
                 "variable table");
}

TEST(Validate, RefusesLiteralsOfAnotherSize) {
  expect_problem([](LaunchPlan& plan) { literal(plan).literal += 'x'; }, "bad_plan",
                 "exactly its bytes");
}

TEST(Validate, RefusesElementCopiesOutsideTheirAllocations) {
  EXPECT_FALSE(
      problem_after([](LaunchPlan& plan) { elements_of(plan).target.offset = 8192 - 4 * 600; }));
  expect_problem([](LaunchPlan& plan) { elements_of(plan).target.offset = 8192 - 4 * 599; },
                 "invalid_argument", "into its target: 2400 bytes from byte 5796 on do not fit");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).source.offset = 4000 - 2 * 599; },
                 "invalid_argument", "from its source: 1200 bytes from byte 2802 on do not fit");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).elements.source_strides[0] = 200; },
                 "invalid_argument", "do not fit into tensor y");
  expect_problem(
      [](LaunchPlan& plan) { elements_of(plan).elements.target_strides[0] = UINT64_MAX; },
      "invalid_argument", "do not fit");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).elements.shape[1] = UINT64_MAX; },
                 "invalid_argument", "do not fit");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).source.offset = -2; }, "bad_plan",
                 "not aligned");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).target.allocation = 9; }, "bad_plan",
                 "allocation 9 does not exist");
}

TEST(Validate, RefusesElementCopiesThatAreNone) {
  expect_problem([](LaunchPlan& plan) { elements_of(plan).target.offset = 2; }, "bad_plan",
                 "not aligned");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).elements.shape[0] = 0; }, "bad_plan",
                 "no elements");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).elements.rank = 9; }, "bad_plan",
                 "too many axes");
  expect_problem([](LaunchPlan& plan) { elements_of(plan).target.allocation = 2; }, "bad_plan",
                 "no tensor");
}

TEST(Validate, RefusesElementCopiesThatOverlap) {
  EXPECT_FALSE(
      problem_after([](LaunchPlan& plan) { elements_of(plan).elements.source_strides[0] = 0; }));
  for (const uint64_t stride : {0, 1, 29})
    expect_problem([&](LaunchPlan& plan) { elements_of(plan).elements.target_strides[0] = stride; },
                   "invalid_argument", "several elements go to the same place");
  const auto within_scratch = [](int64_t source) {
    return [source](LaunchPlan& plan) { elements_of(plan).source = {3, source}; };
  };
  EXPECT_FALSE(problem_after(within_scratch(2404)));
  expect_problem(within_scratch(2402), "invalid_argument", "source and target overlap");
  expect_problem(within_scratch(0), "invalid_argument", "source and target overlap");
}

TEST(Validate, RefusesDependenciesOnLaterOperations) {
  expect_problem([](LaunchPlan& plan) { plan.operations[2].depends_on = {2}; }, "bad_plan",
                 "operation 2 waits for operation 2");
}

TEST(Validate, RefusesAllocationsThatDoNotFitTheCase) {
  expect_problem([](LaunchPlan& plan) { plan.allocations[1].index = 0; }, "bad_plan",
                 "argument 0, which does not exist or was named before");
  expect_problem([](LaunchPlan& plan) { plan.allocations[1].index = 2; }, "bad_plan", "argument 2");
  expect_problem([](LaunchPlan& plan) { plan.allocations[0].bytes = 4001; }, "bad_plan",
                 "tensor x has 4000 bytes, not 4001");
  expect_problem([](LaunchPlan& plan) { plan.allocations[2].name = "chair"; }, "bad_plan",
                 "no variable 'chair'");
  expect_problem([](LaunchPlan& plan) { plan.allocations[2].bytes = 65; }, "bad_plan",
                 "no variable 'table' of 65 bytes");
}

TEST(Validate, RefusesMoreScratchThanTheDeviceHas) {
  expect_problem([](LaunchPlan& plan) { plan.allocations[3].bytes = uint64_t{1} << 40; },
                 "scratch_limit", "1024.0 GiB of scratch memory");
  expect_problem([](LaunchPlan& plan) { plan.allocations[3].bytes = uint64_t{141} << 30; },
                 "scratch_limit", "NVIDIA H200 has 141.0 GiB");
  expect_problem([](LaunchPlan& plan) { plan.allocations[3].bytes = UINT64_MAX; }, "scratch_limit",
                 "NVIDIA H200");
}

TEST(Validate, RefusesTooManyOperationsAndAllocations) {
  expect_problem([](LaunchPlan& plan) { plan.operations.resize(10'001, plan.operations[0]); },
                 "plan_limits", "10001 operations; at most 10000");
  expect_problem([](LaunchPlan& plan) { plan.allocations.resize(4097); }, "plan_limits",
                 "4097 allocations");
}

}  // namespace
}  // namespace assay
