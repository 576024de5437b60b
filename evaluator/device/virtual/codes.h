// The operations that have a vectorised implementation of their own (lanes.inc). All other
// instructions run lane by lane through Op::scalar or through a handler of their own.
#pragma once

#include <cstdint>

#include "evaluator/device/virtual/program.h"

// clang-format off
#define ASSAY_CODES(X)                                                                            \
  X(mov16) X(mov32) X(mov64)                                                                      \
  X(add16) X(add32) X(add64) X(sub16) X(sub32) X(sub64) X(mul16) X(mul32) X(mul64)                \
  X(mad32) X(mad64) X(mul_wide_u16) X(mul_wide_s16) X(mul_wide_u32) X(mul_wide_s32)               \
  X(mad_wide_u32) X(mad_wide_s32) X(mul_hi_u32) X(mul_hi_s32) X(neg32) X(neg64) X(abs_s32)        \
  X(min_u32) X(min_s32) X(max_u32) X(max_s32)                                                     \
  X(and16) X(and32) X(and64) X(or16) X(or32) X(or64) X(xor16) X(xor32) X(xor64)                   \
  X(not16) X(not32) X(not64) X(shl32) X(shl64) X(shr_u32) X(shr_s32) X(shr_u64) X(shr_s64)        \
  X(lop3_32) X(bfe_u32) X(select16) X(select32) X(select64)                                       \
  X(eq16) X(eq32) X(eq64) X(lt_u16) X(lt_s16) X(lt_u32) X(lt_s32) X(lt_u64) X(lt_s64)             \
  X(le_u16) X(le_s16) X(le_u32) X(le_s32) X(le_u64) X(le_s64)                                     \
  X(eq_f32) X(lt_f32) X(le_f32) X(num_f32) X(eq_f64) X(lt_f64) X(le_f64) X(num_f64)               \
  X(pred_and) X(pred_or) X(pred_xor)                                                              \
  X(add_f32) X(sub_f32) X(mul_f32) X(fma_f32) X(div_f32) X(sqrt_f32) X(rcp_f32)                   \
  X(add_f32_mode) X(sub_f32_mode) X(mul_f32_mode) X(fma_f32_mode) X(div_f32_mode)                 \
  X(sqrt_f32_mode) X(rcp_f32_mode)                                                                \
  X(add_f64) X(sub_f64) X(mul_f64) X(fma_f64) X(div_f64) X(sqrt_f64) X(rcp_f64)                   \
  X(add_f64_mode) X(sub_f64_mode) X(mul_f64_mode) X(fma_f64_mode) X(div_f64_mode)                 \
  X(sqrt_f64_mode) X(rcp_f64_mode)                                                                \
  X(min_f32) X(max_f32) X(neg_f32) X(abs_f32) X(neg_f64) X(abs_f64) X(saturate_f32)               \
  X(widen_u16_u32) X(widen_s16_s32) X(widen_u32_u64) X(widen_s32_s64) X(narrow_32_16)             \
  X(narrow_64_32) X(f32_of_s32) X(f32_of_u32) X(f64_of_s32) X(f64_of_u32) X(f64_of_f32)           \
  X(f32_of_f64) X(f32_of_f16) X(f16_of_f32) X(f32_of_bf16) X(bf16_of_f32) X(s32_of_f32)           \
  X(ex2_f32) X(high_64_32) X(high_32_16) X(join_32_64) X(join_16_32) X(shf_left) X(shf_right)      \
  X(prmt_bytes) X(popc32) X(fma_f16) X(fma_f16x2) X(add_f16x2) X(mul_f16x2) X(f16x2_of_f32)        \
  X(bf16x2_of_f32)                                                                                \
  X(load_global) X(store_global) X(load_shared32) X(load_shared64) X(store_shared32)              \
  X(store_shared64) X(load_parameter) X(load_local) X(store_local)                                \
  X(scalar) X(shuffle)
// clang-format on

namespace assay::virtual_gpu {

enum class OpCode : uint16_t {
#define ASSAY_CODE(name) name,
  ASSAY_CODES(ASSAY_CODE)
#undef ASSAY_CODE
      count
};

enum class RunResult : uint8_t { paused, waiting, done, fault };

/// One build of the executor.
struct Executor {
  const char* name;
  Handler handlers[static_cast<size_t>(OpCode::count)];
  /// Runs the warp until its slice ends or it cannot go on.
  RunResult (*run_warp)(Warp& warp);
};

extern const Executor kBaselineExecutor;
extern const Executor kAvx2Executor;    // x86-64-v3; only where the build has it
extern const Executor kAvx512Executor;  // x86-64-v4
/// The fastest that this CPU can run; ASSAY_VIRTUAL_EXECUTOR=baseline|avx2|avx512 overrides.
const Executor& executor();

}  // namespace assay::virtual_gpu
