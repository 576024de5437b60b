// The .approx instructions, computed accurately and rounded once: closer than hardware, not bit for
// bit the same. docs/virtual-arithmetic.md says by how much.
#pragma once

#include "evaluator/device/virtual/arithmetic_formats.h"

namespace assay::virtual_gpu {

float ex2_approx(float x, bool ftz = false);
float lg2_approx(float x, bool ftz = false);
float sin_approx(float x, bool ftz = false);
float cos_approx(float x, bool ftz = false);
float tanh_approx(float x);
float rcp_approx(float x, bool ftz = false);
float sqrt_approx(float x, bool ftz = false);
float rsqrt_approx(float x, bool ftz = false);
float div_approx(float a, float b, bool ftz = false);
float div_full(float a, float b, bool ftz = false);
double rcp_approx(double x);  // .ftz.f64: 20 bits of mantissa
double rsqrt_approx(double x, bool ftz = false);

F16 ex2_approx(F16 x);
BF16 ex2_approx(BF16 x);  // always .ftz
F16 tanh_approx(F16 x);
BF16 tanh_approx(BF16 x);
template <typename T>
Pair<T> ex2_approx(Pair<T> x) {
  return {ex2_approx(x.low), ex2_approx(x.high)};
}
template <typename T>
Pair<T> tanh_approx(Pair<T> x) {
  return {tanh_approx(x.low), tanh_approx(x.high)};
}

}  // namespace assay::virtual_gpu
