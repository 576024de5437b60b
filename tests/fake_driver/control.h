// What tests may ask of the stand-in for the CUDA driver, beyond its API.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace assay::fake_driver {

struct Control {
  uint64_t memory_bytes = uint64_t{512} << 20;
  uint32_t multiprocessors = 4;
  uint32_t l2_bytes = 64 << 10;
  /// Instructions after which a kernel counts as hung, each for all 32 lanes of its warp.
  uint64_t instruction_budget = 400'000'000;

  /// The `failing`th next call of `function` (1: the next) fails with `result`; "" fails none.
  char function[64] = "";
  int failing = 0;
  CUresult result = CUDA_SUCCESS;

  /// Operations of a graph run in an order that is random among those its dependencies allow.
  uint32_t order_seed = 1;

  /// Time of a launch on the device's own clock, which nothing else moves: `launch_us` plus
  /// `lane_ns` for each lane-instruction.
  double launch_us = 20;
  double lane_ns = 1;

  // Counted for tests.
  uint64_t launches = 0;
  uint64_t allocated_bytes = 0;
};

/// The one of this process; exported by the stand-in under the name "fake_driver_control".
using ControlFunction = Control* (*)();
/// What a new process would find: no errors that stuck, default controls; exported likewise under
/// the name "fake_driver_restart".
using RestartFunction = void (*)();

}  // namespace assay::fake_driver
