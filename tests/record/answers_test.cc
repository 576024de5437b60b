// What the recording runtime answers about the device and about kernels.
#include "evaluator/device/occupancy.h"
#include "tests/record/recorded.h"

namespace assay {
namespace {

void expect_line(const std::string& output, const std::string& line) {
  EXPECT_NE(output.find(line + "\n"), std::string::npos) << "wanted: " << line << "\n" << output;
}

TEST(Answers, OccupancyFollowsRegistersSharedMemoryAndThreads) {
  const RecordOutcome outcome = recorded::record_variant("occupancy");
  ASSERT_TRUE(outcome.plan);
  // 2048 threads / 128 = 16 blocks; few registers.
  expect_line(outcome.output, "bounded 128: 16");
  expect_line(outcome.output, "bounded 256: 0");  // above the launch bounds
  // 4 KiB static + 1 KiB reserved = 5 KiB of 228 KiB: 45; the device holds 32 blocks.
  expect_line(outcome.output, "shared 64: 32");
  expect_line(outcome.output, "shared too much: 0");
  // 69 KiB of 228 KiB: 3.
  expect_line(outcome.output, "shared 64 KiB: 3");
  // 57 KiB for each of four, less 4 KiB static and 1 KiB reserved.
  expect_line(outcome.output, "dynamic for 4: 53248");
  expect_line(outcome.output, "potential: 2112 x 128");
}

TEST(Answers, PropertiesAreThoseOfTheTarget) {
  const RecordOutcome outcome = recorded::record_variant("properties");
  ASSERT_TRUE(outcome.plan);
  expect_line(outcome.output,
              "NVIDIA H200 9.0 sms 132 l2 62914560 shared 233472 optin 232448 grid 65535");
  expect_line(outcome.output,
              "device 0 of 1 sms 132 cluster 1 runtime 13000 set(1) invalid device ordinal");
  expect_line(outcome.output, "threads 128 binary 90 dynamic 49152");
  expect_line(outcome.output, "free 1 total 141 types 2 0");
}

TEST(Answers, PropertiesFollowAnotherTarget) {
  const RecordOutcome outcome =
      recorded::record_variant("properties", default_device_info("sm_86"));
  expect_line(outcome.output,
              "NVIDIA RTX A6000 8.6 sms 84 l2 6291456 shared 102400 optin 101376 grid 65535");
}

TEST(Answers, ErrorsThatCodeMayHandleAreReturnedAndRemembered) {
  const RecordOutcome outcome = recorded::record_variant("shared_too_large");
  EXPECT_TRUE(outcome.plan);
  expect_line(outcome.output, "error 1 cudaErrorInvalidValue last 1 1 then 0");
}

TEST(Answers, CallsThatChangeNoResultSucceed) {
  const RecordOutcome outcome = recorded::record_variant("harmless_calls");
  EXPECT_TRUE(outcome.plan) << outcome.failure->explanation;
  expect_line(outcome.output, "failed 0");
}

TEST(Occupancy, IsLimitedByRegisters) {
  const DeviceInfo device = default_device_info("sm_90");
  // 64 registers * 32 lanes = 2048 a warp: 8 warps in each of four partitions, 32 warps in all.
  EXPECT_EQ(resident_blocks(device, {256, 64, 0}), 4u);
  // 65 registers round up to 2304 a warp: 7 in a partition, 28 in all.
  EXPECT_EQ(resident_blocks(device, {256, 65, 0}), 3u);
  // 1024 threads with 72 registers: 32 warps * 2304 = 73728 > 65536.
  EXPECT_EQ(resident_blocks(device, {1024, 72, 0}), 0u);
  EXPECT_EQ(resident_blocks(device, {32, 0, 0}), 32u);
}

TEST(Occupancy, IsLimitedBySharedMemory) {
  const DeviceInfo device = default_device_info("sm_80");
  EXPECT_EQ(resident_blocks(device, {128, 32, 40 << 10}), 4u);  // 41 KiB of 164 KiB
  EXPECT_EQ(resident_blocks(device, {128, 32, 163 << 10}), 1u);
  EXPECT_EQ(resident_blocks(device, {128, 32, 164 << 10}), 0u);  // above the opt-in limit
}

TEST(Occupancy, SaysHowManyThreadsABlockCanHave) {
  const DeviceInfo device = default_device_info("sm_90");
  EXPECT_EQ(max_threads(device, 64), 1024u);
  EXPECT_EQ(max_threads(device, 128), 512u);
  EXPECT_EQ(max_threads(device, 255), 256u);
}

}  // namespace
}  // namespace assay
