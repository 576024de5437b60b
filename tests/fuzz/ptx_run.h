// Runs text that claims to be PTX on the virtual device, as the fuzz target and the regression test
// of its findings do.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "evaluator/device/device.h"
#include "evaluator/device/virtual/parser.h"

namespace assay {

/// Loads `text` and launches its first kernels with pointers as arguments. False if the device
/// contradicts itself: an Error for what loaded, or bytes outside a buffer that changed.
inline bool run_any_ptx(std::string_view text) {
  const auto parsed = virtual_gpu::parse_ptx(std::string(text));
  if (!parsed.ok()) return !parsed.error().message.empty();
  uint64_t variable_bytes = 0;
  for (const auto& variable : (*parsed)->variables) variable_bytes += variable.bytes;
  if (variable_bytes > (16u << 20)) return true;  // only slow
  const auto device = make_virtual_device("sm_90", 1);
  Artifact artifact;
  artifact.ptx = text;
  auto module = device->load(artifact);
  if (!module.ok()) return !module.error().message.empty();
  constexpr uint64_t kBytes = 4096;
  auto buffer = device->allocate(kBytes, "x");
  if (!buffer.ok()) return false;
  size_t kernels = 0;
  for (const auto& function : (*parsed)->functions) {
    if (!function.is_kernel || !function.defined || ++kernels > 4) continue;
    Launch launch;
    launch.kernel = function.name;
    launch.grid = {2};
    launch.block = {text.size() % 4 < 2 ? 64u : 33u};
    launch.dynamic_shared_bytes = 512;
    launch.parameters.assign(64, '\0');
    for (uint32_t at = 0; at < 48; at += 8) launch.relocations.push_back({at, {0, 16 * at}});
    LaunchPlan plan;
    plan.allocations = {{Allocation::Kind::argument, 0, "", kBytes}};
    plan.operations = {{launch, {}, 0}};
    auto prepared = device->prepare(**module, plan, std::span(&*buffer, 1));
    if (!prepared.ok()) return false;
    RunOptions options;
    options.instruction_budget = 200'000;
    options.deadline_seconds = 1;
    options.schedule_seed = static_cast<uint32_t>(text.size() % 2);
    const auto report = device->run(**prepared, options);
    if (!report.ok()) return false;
    if (report->fault && report->fault->explanation.empty()) return false;
  }
  const auto damage = device->check_red_zones(*buffer);
  return damage.ok() && !damage->any();
}

}  // namespace assay
