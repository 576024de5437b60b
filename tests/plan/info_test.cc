// The devices that are assumed where no real one was asked for, and the JSON form of DeviceInfo.
#include "evaluator/device/info.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace assay {
namespace {

TEST(DeviceInfo, SurvivesTheWayThroughJson) {
  DeviceInfo info = default_device_info("sm_120");
  info.id = "cuda:3";
  info.uuid = "GPU-1";
  info.driver = "580.65";
  info.max_grid[1] = 7;
  const auto back = nlohmann::json::parse(nlohmann::json(info).dump()).get<DeviceInfo>();
  EXPECT_EQ(nlohmann::json(back), nlohmann::json(info));
  EXPECT_EQ(back.max_grid[1], 7u);
  EXPECT_EQ(back.uuid, "GPU-1");
  EXPECT_EQ(nlohmann::json(info).size(), 25u);
}

TEST(DeviceInfo, KnowsAProductForEveryArchitecture) {
  for (const char* arch : {"sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"})
    EXPECT_EQ(default_device_info(arch).arch(), arch);
  EXPECT_EQ(default_device_info("sm_90").name, "NVIDIA H200");
  EXPECT_EQ(default_device_info("sm_80").multiprocessors, 108u);
  EXPECT_EQ(default_device_info("sm_86").max_threads_per_multiprocessor, 1536u);
  EXPECT_EQ(default_device_info("sm_89").shared_per_block_optin_bytes, 99u << 10);
  EXPECT_EQ(default_device_info("sm_90").shared_per_block_optin_bytes, 227u << 10);
  EXPECT_EQ(default_device_info("sm_100").max_cluster_blocks, 8u);
  EXPECT_EQ(default_device_info("sm_89").max_cluster_blocks, 1u);
}

TEST(DeviceInfo, TakesTheNearestOlderProductForOthers) {
  EXPECT_EQ(default_device_info("sm_90a").name, "NVIDIA H200");
  EXPECT_EQ(default_device_info("sm_103").name, "NVIDIA B200");
  EXPECT_EQ(default_device_info("sm_103").arch(), "sm_103");
  EXPECT_EQ(default_device_info("sm_75").arch(), "sm_80");
  EXPECT_EQ(default_device_info("nonsense").arch(), "sm_80");
}

}  // namespace
}  // namespace assay
