// Input fills: how a tensor's elements follow from a seed. Contract; the same source
// (fill_element.h) computes them on the CPU and, compiled by nvcc, on a GPU, and the bits are the
// same.
//
// Generator: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). key = the 64-bit seed, counter = (block low, block high, ordinal,
// generation). docs/task-format.md describes every kind and its parameters; fill_kinds.h is the
// table.
#pragma once

#include "tasks/dtype.h"

namespace assay {

/// Each with its parameters in the order of Fill::a, b, c, d, e; "row" is Fill::row.
enum class FillKind : uint8_t {
  constant,            // value
  arange,              // start + j * step, j = position in the row
  normal,              // mean, stddev
  uniform,             // low, high: [low, high)
  randint,             // low, high: integers in [low, high)
  permutation,         // distinct integers of 0 .. high-1 in each row; high = row: a permutation
  bernoulli,           // p, value: value with probability p, else 0
  cumulative_lengths,  // total, min, skew, empty, longest: 0 = x[0] <= ... <= x[row-1] = total
  sorted_unique,       // low, high: strictly increasing integers in [low, high) in each row
  packed_bits,         // bits, low, high: fields of `bits` bits, each uniform in [low, high)
  outliers,            // mean, stddev, fraction, scale: normal, a fraction multiplied by scale
  log_uniform,         // low, high, signed: low <= |x| <= high, random sign if signed
  one_hot,             // value: at one random place in each row, else 0
  half_normal,         // stddev: |normal|
  exponential,         // mean
  zipf,                // high, exponent: k in [0, high) with probability ~ (k + 1)^-exponent
  stratified,          // low, high: sorted rows, element j uniform in the j-th of `row` strata
  scaled_rows,         // stddev, low, high: normal, each row times its own log-uniform factor
  unit_rows,           // normal rows scaled to length 1
  softmax_rows,        // stddev, log: softmax (or its logarithm) of a normal row
  lengths,             // as cumulative_lengths, its differences: row = number of segments
  segment_ids,         // segments, min, skew, empty, longest: in which segment each of row lies
};
inline constexpr int kFillKindCount = 22;

/// A resolved fill: plain data, passed to kernels by value.
struct Fill {
  FillKind kind = FillKind::constant;
  Dtype dtype = Dtype::f32;
  uint32_t ordinal = 0;  // of the tensor in the task (with `like`, of that tensor); below 65536
  uint64_t elements = 0;
  uint64_t row = 0;  // elements of a row, where the kind has rows; divides `elements`
  double a = 0;      // first parameter of the kind, in the order of FillKind's comments
  double b = 0;
  double c = 0;
  double d = 0;
  double e = 0;
  // Modifiers, applied to each value in this order.
  double grid = 0;     // 0: none; else rounded to a multiple of it
  double replace = 0;  // probability that an element becomes `with`
  double with = 0;
  uint64_t replace_row = 1;  // so many consecutive elements are replaced together
};

/// The secret of one generation of inputs. `generation` separates repeats and timing slots.
struct FillKey {
  uint64_t seed = 0;
  uint32_t generation = 0;
};

#ifndef __CUDACC_RTC__
/// Fills `data` (fill.elements elements of fill.dtype, aligned to the element size) on the CPU,
/// with `threads` threads (0: all cores). The result does not depend on the number of threads.
void fill_on_host(const Fill& fill, FillKey key, void* data, int threads = 1);
#endif

}  // namespace assay
