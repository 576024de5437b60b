// Input fills: how a tensor's elements follow from a seed. Contract; the same source computes them
// on the CPU and, compiled by nvcc, on a GPU, and the bits are the same.
//
// Generator: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011). key = the 64-bit seed, counter = (block low, block high, ordinal, generation).
#pragma once

#include <cstdint>

#include "tasks/dtype.h"

namespace assay {

enum class FillKind : uint8_t {
  constant,            // value
  arange,              // start + i * step
  normal,              // mean, stddev
  uniform,             // low, high: [low, high)
  randint,             // low, high: integers in [low, high)
  permutation,         // of 0 .. n-1, n = elements (or of each row of `row` elements)
  bernoulli,           // p: 1 with probability p, else 0
  cumulative_lengths,  // total: 0 = x[0] <= ... <= x[n-1] = total; `min` length of a segment
  sorted_unique,       // high: strictly increasing integers in [0, high)
  packed_bits,         // bits: uniformly random bits, whole words
  outliers,            // mean, stddev, fraction, scale: normal, a fraction multiplied by scale
  log_uniform,         // low, high > 0, random sign if `signed`
  one_hot,             // row: one 1 at a random place in each row of `row` elements
};

/// A resolved fill: plain data, passed to kernels by value.
struct Fill {
  FillKind kind = FillKind::constant;
  Dtype dtype = Dtype::f32;
  uint32_t ordinal = 0;     // of the tensor in the task
  uint64_t elements = 0;
  uint64_t row = 0;         // elements of a row, where the kind has rows; 0: one row
  double a = 0;             // first parameter of the kind, in the order of FillKind's comments
  double b = 0;
  double c = 0;
  double d = 0;
};

/// The secret of one generation of inputs. `generation` separates repeats and timing slots.
struct FillKey {
  uint64_t seed = 0;
  uint32_t generation = 0;
};

/// Fills `data` (fill.elements elements of fill.dtype) on the CPU.
void fill_on_host(const Fill& fill, FillKey key, void* data);

}  // namespace assay
