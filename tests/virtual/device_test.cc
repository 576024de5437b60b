// The Device interface: buffers, modules, plans.
#include "evaluator/check/trusted.h"
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(
#include <cooperative_groups.h>
__device__ int counter = 7;
__device__ int* pointer_to_counter = &counter;
__device__ float table[4] = {1.5f, 2.5f, -3, 4};
__constant__ int constants[2] = {10, 20};
struct Pair { int a; double b; };
__device__ Pair pairs[2] = {{1, 2.5}, {3, 4.5}};
extern "C" __global__ void variables(int* o) {
  o[0] = counter++;
  o[1] = *pointer_to_counter;
  o[2] = (int)(table[1] * 2 + table[2]);
  o[3] = constants[0] + constants[1];
  o[4] = pairs[1].a + (int)(pairs[0].b * 2);
}
struct Arguments { int n; const int* x; char c; double d; int values[3]; };
extern "C" __global__ void by_value(int* o, Arguments a, short s, float f) {
  int i = threadIdx.x;
  o[i] = a.n + a.x[i] + a.c + (int)a.d + a.values[i % 3] + s + (int)f;
}
extern "C" __global__ void add_one(const int* x, int* y) { y[threadIdx.x] = x[threadIdx.x] + 1; }
extern "C" __global__ void grid_sum(int* o, int* parts) {
  cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  if (threadIdx.x == 0) parts[blockIdx.x] = blockIdx.x + 1;
  grid.sync();
  if (grid.thread_rank() == 0) { int s = 0; for (int i = 0; i < gridDim.x; ++i) s += parts[i]; o[0] = s; }
  grid.sync();
  if (threadIdx.x == 0) o[1 + blockIdx.x] = o[0];
}
)";

class Devices : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx, 2);
    bench->tensor("o", std::vector<int>(32));
    bench->tensor("x", std::vector<int>{5, 6, 7, 8});
  }
  std::unique_ptr<Bench> bench;
};

TEST_F(Devices, VariablesHaveTheirInitialValuesAndKeepNewOnesUntilReset) {
  const auto first = [&] {
    EXPECT_EQ(fault_of(bench->launch("variables", {1}, {1}, Pointer{"o"})), "");
    return bench->read<int>("o");
  };
  EXPECT_EQ(first()[0], 7);
  const auto second = first();
  EXPECT_EQ(std::vector<int>(second.begin(), second.begin() + 5),
            (std::vector<int>{8, 9, 2, 30, 8}));
  ASSERT_TRUE(bench->device->reset(*bench->module).ok());
  EXPECT_EQ(first()[0], 7);
}

TEST_F(Devices, StructsAndPointersInsideThemArePassedByValue) {
  struct Arguments {
    int n;
    uint64_t x;
    char c;
    double d;
    int values[3];
  };
  assay::Launch launch;
  launch.kernel = "by_value";
  launch.block = {4};
  bench->append(launch, Pointer{"o"});
  bench->append(launch, Arguments{100, 0, 3, 2.75, {1000, 2000, 3000}});
  launch.relocations.push_back({16, Location{bench->allocation_of("x"), 0}});
  bench->append(launch, short{7});
  bench->append(launch, 1.5f);
  LaunchPlan plan = bench->plan();
  plan.operations = {{launch, {}, 0}};
  ASSERT_EQ(fault_of(bench->run_plan(plan)), "");
  const auto o = bench->read<int>("o");
  EXPECT_EQ(o[0], 100 + 5 + 3 + 2 + 1000 + 7 + 1);
  EXPECT_EQ(o[2], 100 + 7 + 3 + 2 + 3000 + 7 + 1);
}

TEST_F(Devices, PlansCopyAndSetMemoryInOrder) {
  LaunchPlan plan = bench->plan();
  const uint32_t x = bench->allocation_of("x"), o = bench->allocation_of("o");
  const auto scratch = static_cast<uint32_t>(plan.allocations.size());
  plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 64});
  plan.allocations.push_back({Allocation::Kind::variable, 0, "table", 16});
  Memset set;
  set.target = {scratch, 0};
  set.value = 9;
  set.element_bytes = 4;
  set.width_bytes = 32;
  Copy copy;
  copy.target = {scratch, 8};
  copy.source = {x, 4};
  copy.width_bytes = 8;
  assay::Launch launch;
  launch.kernel = "add_one";
  launch.block = {8};
  launch.parameters.assign(16, '\0');
  launch.relocations = {{0, {scratch, 0}}, {8, {o, 0}}};
  Copy literal;
  literal.target = {o, 64};
  literal.literal = std::string("\1\0\0\0\2\0\0\0", 8);
  literal.width_bytes = 8;
  Copy rows;  // every other word of x, twice
  rows.target = {o, 80};
  rows.source = {x, 0};
  rows.width_bytes = 4;
  rows.height = 2;
  rows.target_pitch_bytes = 4;
  rows.source_pitch_bytes = 8;
  Copy variable;
  variable.target = {o, 96};
  variable.source = {scratch + 1, 0};
  variable.width_bytes = 4;
  plan.operations = {{set, {}, 0},      {copy, {0}, 0}, {launch, {1}, 0},
                     {literal, {2}, 0}, {rows, {2}, 0}, {variable, {2}, 0}};
  ASSERT_EQ(fault_of(bench->run_plan(plan)), "");
  const auto values = bench->read<int>("o");
  EXPECT_EQ(std::vector<int>(values.begin(), values.begin() + 8),
            (std::vector<int>{10, 10, 7, 8, 10, 10, 10, 10}));
  EXPECT_EQ(values[16], 1);
  EXPECT_EQ(values[17], 2);
  EXPECT_EQ(values[20], 5);
  EXPECT_EQ(values[21], 7);
  EXPECT_EQ(values[24], 0x3fc00000);  // 1.5f
}

TEST_F(Devices, CopiesElementsOfViewsUntilTheDeadline) {
  bench->tensor("small", std::vector<int8_t>{-1, 2, -3, 4, -5, 6});
  ElementCopy copy;  // a matrix of 2 by 3, transposed
  copy.source = {bench->allocation_of("small"), 0};
  copy.target = {bench->allocation_of("o"), 4};
  copy.elements = {Dtype::i32, Dtype::i8, 2, {3, 2}, {2, 1}, {1, 3}};
  LaunchPlan plan = bench->plan();
  plan.operations = {{copy, {}, 0}};
  ASSERT_EQ(fault_of(bench->run_plan(plan)), "");
  const auto values = bench->read<int>("o");
  EXPECT_EQ(std::vector<int>(values.begin() + 1, values.begin() + 7),
            (std::vector<int>{-1, 4, 2, -5, -3, 6}));
  bench->options.deadline_seconds = 0;
  EXPECT_EQ(bench->run_plan(plan).fault->kind, Fault::Kind::timeout);
}

TEST_F(Devices, ScratchIsPoisonedAndNamedInFaults) {
  LaunchPlan plan = bench->plan();
  const auto scratch = static_cast<uint32_t>(plan.allocations.size());
  plan.allocations.push_back({Allocation::Kind::scratch, 0, "", 16});
  assay::Launch launch;
  launch.kernel = "add_one";
  launch.block = {8};
  launch.parameters.assign(16, '\0');
  launch.relocations = {{0, {scratch, 0}}, {8, {bench->allocation_of("o"), 0}}};
  plan.operations = {{launch, {}, 0}};
  EXPECT_NE(fault_of(bench->run_plan(plan)).find("past the end of scratch allocation 0 (16 bytes)"),
            std::string::npos);
  std::get<assay::Launch>(plan.operations[0].action).block = {4};
  ASSERT_EQ(fault_of(bench->run_plan(plan)), "");
  EXPECT_NE(bench->read<int>("o")[1], 1);
}

TEST_F(Devices, AGridSynchronisesInACooperativeLaunch) {
  bench->tensor("parts", std::vector<int>(20));
  bench->cooperative = true;
  for (const uint32_t seed : {0u, 4u}) {
    bench->options.schedule_seed = seed;
    ASSERT_EQ(fault_of(bench->launch("grid_sum", {20}, {64}, Pointer{"o"}, Pointer{"parts"})), "");
    EXPECT_EQ(bench->read<int>("o")[20], 210);
  }
  EXPECT_EQ(bench->launch("grid_sum", {100000}, {64}, Pointer{"o"}, Pointer{"parts"}).fault->kind,
            Fault::Kind::launch_failed);
}

TEST_F(Devices, RedZonesAreIntactAfterAllOfThis) {
  const auto buffer = bench->device->allocate(100, "z");
  ASSERT_TRUE(buffer.ok());
  EXPECT_EQ(buffer->address % 256, 0u);
  const auto damage = bench->device->check_red_zones(*buffer);
  ASSERT_TRUE(damage.ok());
  EXPECT_FALSE(damage->any());
  EXPECT_EQ(damage->buffer, "z");
}

TEST_F(Devices, BuffersFillPoisonHashAndCompare) {
  Device& device = *bench->device;
  const Buffer a = *device.allocate(4000, "a"), b = *device.allocate(4000, "b");
  Fill fill;
  fill.kind = FillKind::normal;
  fill.dtype = Dtype::f32;
  fill.elements = 1000;
  fill.b = 1;
  ASSERT_TRUE(device.fill(a, fill, {1, 0}).ok());
  ASSERT_TRUE(device.fill(b, fill, {1, 0}).ok());
  EXPECT_EQ(*device.hash(a), *device.hash(b));
  EXPECT_TRUE(device.compare(a, b, Dtype::f32, 1000, Tolerance{})->passed());
  ASSERT_TRUE(device.poison(b, Dtype::f32, 5).ok());
  EXPECT_NE(*device.hash(a), *device.hash(b));
  EXPECT_EQ(device.compare(a, b, Dtype::f32, 1000, Tolerance{})->mismatches, 1000u);
}

TEST_F(Devices, AddressesDifferFromDeviceToDevice) {
  const auto other = make_virtual_device("sm_90", 1);
  EXPECT_NE(bench->device->allocate(64, "a")->address, other->allocate(64, "a")->address);
}

TEST_F(Devices, AKernelThatIsNotThereIsALaunchFailure) {
  EXPECT_EQ(bench->launch("nowhere", {1}, {1}).fault->kind, Fault::Kind::launch_failed);
}

}  // namespace
}  // namespace assay
