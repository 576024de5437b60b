// The attack catalogue, rows of devices: which of them this machine can show. The suites bear the
// rows' numbers (docs/sandbox.md); device code itself is tried by the exploits of the verdict.
#include <gtest/gtest.h>

#include "payload_run.h"

namespace assay::sandbox {
namespace {

struct DeviceRow {
  const char* row;
  const char* why_not_here;
};

class DeviceRows : public testing::TestWithParam<DeviceRow> {};

TEST_P(DeviceRows, AreNotShownHere) { GTEST_SKIP() << GetParam().why_not_here; }

constexpr const char* kNeedsGpu = "needs a GPU; the exploits of the verdict run it on one";
constexpr const char* kVirtualToo =
    "device code: an exploit of the verdict, on the virtual device and on a GPU";
constexpr const char* kNeedsHostCode =
    "needs hostile host code beside a GPU, which the replayed lane has not";

INSTANTIATE_TEST_SUITE_P(
    Catalogue, DeviceRows,
    testing::Values(DeviceRow{"G01", kVirtualToo}, DeviceRow{"G02", kNeedsGpu},
                    DeviceRow{"G03", kVirtualToo}, DeviceRow{"G04", kVirtualToo},
                    DeviceRow{"G05", kNeedsGpu}, DeviceRow{"G06", kNeedsGpu},
                    DeviceRow{"G07", kNeedsGpu}, DeviceRow{"G08", kNeedsGpu},
                    DeviceRow{"G09", kVirtualToo}, DeviceRow{"G10", kVirtualToo},
                    DeviceRow{"G11", kVirtualToo}, DeviceRow{"G12", kNeedsHostCode},
                    DeviceRow{"G13", kVirtualToo}, DeviceRow{"G14", kVirtualToo},
                    DeviceRow{"G15", kVirtualToo}, DeviceRow{"G16", kVirtualToo},
                    DeviceRow{"G17", kVirtualToo}, DeviceRow{"G18", kNeedsGpu},
                    DeviceRow{"G19", kNeedsGpu}, DeviceRow{"G21", kNeedsHostCode},
                    DeviceRow{"G22", kNeedsHostCode}, DeviceRow{"G25", kNeedsHostCode},
                    DeviceRow{"G26", kNeedsHostCode}, DeviceRow{"G27", kNeedsHostCode},
                    DeviceRow{"G28", "contention between tenants: no barrier in software"}),
    [](const auto& row) { return std::string(row.param.row); });

TEST(C14, ThePtxBombIsCompiledInTheJail) {
  GTEST_SKIP() << "needs a GPU: there a cubin of the exact architecture is loaded, never PTX; the "
                  "virtual device's reader of PTX is fuzzed (tests/fuzz)";
}

TEST(G20, ADriverOfTheCandidateIsNotLoaded) {
  setenv("LD_PRELOAD", "./libcuda.so.1", 1);
  const std::string environment = run_payload({"environment"}, Policy::gpu_runner).standard_output;
  unsetenv("LD_PRELOAD");
  EXPECT_EQ(environment, "");
}

TEST(G23, OnlyNodesOfTheDriverAreBound) {
  for (const char* node : {"/dev/nvidia-modeset", "/dev/dri", "/dev/nvidia-caps",
                           "/dev/nvidia-nvswitchctl", "/dev/infiniband"})
    EXPECT_NE(run_payload({"read", node}, Policy::gpu_runner).standard_output, "worked\n") << node;
}

TEST(G24, SocketsOfGpuServicesAreNotMounted) {
  for (const char* path : {"/tmp/nvidia-mps/control", "/run/nvidia-persistenced/socket",
                           "/var/run/nvidia-fabricmanager/socket"})
    EXPECT_EQ(run_payload({"unix-connect", path}, Policy::gpu_runner).standard_output,
              isolation().namespaces ? "ENOENT\n" : "EACCES\n");
}

}  // namespace
}  // namespace assay::sandbox
