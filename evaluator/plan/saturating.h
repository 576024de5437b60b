// Arithmetic on sizes that a candidate chose: too large stays too large instead of wrapping round.
#pragma once

#include <cstdint>

namespace assay::saturating {

inline uint64_t add(uint64_t a, uint64_t b) {
  uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

inline uint64_t multiply(uint64_t a, uint64_t b) {
  uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/// Bytes from the first to the last of `height` rows, `pitch` bytes apart.
inline uint64_t rows(uint64_t width, uint64_t height, uint64_t pitch) {
  return height == 0 ? 0 : add(multiply(height - 1, pitch), width);
}

}  // namespace assay::saturating
