// What all fills share: random words, normal numbers, and the store of finished values.
// fill_element.h opens with the theory of operation.
#pragma once

#include "tasks/element.h"
#include "tasks/fill.h"
#include "tasks/fill_math.h"
#include "tasks/philox.h"

namespace assay::fills {

inline constexpr uint32_t kMainStream = 0;
inline constexpr uint32_t kLowStream = 1;
inline constexpr uint32_t kChoiceStream = 2;
inline constexpr uint32_t kRowStream = 3;
inline constexpr uint32_t kReplaceStream = 4;
inline constexpr uint32_t kFieldStream = 32;   // + field, below 64
inline constexpr uint32_t kRetryStream = 128;  // + attempt

/// The random words of one fill.
struct Source {
  const Fill& fill;
  FillKey key;

  ASSAY_HOST_DEVICE philox::Words block(uint32_t stream, uint64_t number) const {
    return philox::generate(key.seed, static_cast<uint32_t>(number),
                            static_cast<uint32_t>(number >> 32), fill.ordinal | stream << 16,
                            key.generation);
  }
  ASSAY_HOST_DEVICE uint32_t word(uint32_t stream, uint64_t index) const {
    return block(stream, index >> 2).word[index & 3];
  }
};

/// Reads words of one stream one after another; a block is generated once.
struct WordReader {
  const Source& source;
  uint32_t stream;
  uint64_t number = ~uint64_t{0};
  philox::Words words{};

  ASSAY_HOST_DEVICE WordReader(const Source& from, uint32_t of) : source(from), stream(of) {}
  ASSAY_HOST_DEVICE uint32_t operator()(uint64_t index) {
    if (index >> 2 != number) {
      number = index >> 2;
      words = source.block(stream, number);
    }
    return words.word[index & 3];
  }
};

/// A word as a number strictly between 0 and 1, in steps of 2^-32.
ASSAY_HOST_DEVICE inline double open_unit(uint32_t word) {
  return (word + 0.5) * 2.3283064365386963e-10;
}

/// Whether an event of probability p happens: always for 1, never for 0.
ASSAY_HOST_DEVICE inline bool happens(uint32_t word, double p) {
  return word * 2.3283064365386963e-10 < p;
}

/// word * range / 2^32, rounded down: an integer in [0, range) for range <= 2^32.
ASSAY_HOST_DEVICE inline uint64_t below(uint32_t word, uint64_t range) {
  return (word * range) >> 32;
}

/// The high half of the 128-bit product.
ASSAY_HOST_DEVICE inline uint64_t high_product(uint64_t x, uint64_t y) {
  const uint64_t x0 = static_cast<uint32_t>(x), x1 = x >> 32;
  const uint64_t y0 = static_cast<uint32_t>(y), y1 = y >> 32;
  const uint64_t middle = x1 * y0 + ((x0 * y0) >> 32);
  return x1 * y1 + (middle >> 32) + ((x0 * y1 + static_cast<uint32_t>(middle)) >> 32);
}

/// Four consecutive values, before rounding to the dtype.
struct Quad {
  double value[4];
};

/// Standard normal numbers by Box and Muller's method: words 0 and 1 give the first two, words 2
/// and 3 the other two; radius sqrt(-2 ln((w0 + 1/2) / 2^32)), angle 2 pi w1 / 2^32, cosine first.
/// |value| <= 6.77.
ASSAY_HOST_DEVICE inline Quad normals(const philox::Words& words) {
  Quad quad;
  for (int pair = 0; pair < 4; pair += 2) {
    const double radius =
        fill_math::square_root(-2 * fill_math::log_of(open_unit(words.word[pair])));
    const fill_math::SinCos angle = fill_math::sin_cos_of_turn(words.word[pair + 1]);
    quad.value[pair] = radius * angle.cos;
    quad.value[pair + 1] = radius * angle.sin;
  }
  return quad;
}

/// Standard normal number `index` of the main stream, one after another.
struct NormalReader {
  const Source& source;
  uint64_t number = ~uint64_t{0};
  Quad quad{};

  ASSAY_HOST_DEVICE explicit NormalReader(const Source& from) : source(from) {}
  ASSAY_HOST_DEVICE double operator()(uint64_t index) {
    if (index >> 2 != number) {
      number = index >> 2;
      quad = normals(source.block(kMainStream, number));
    }
    return quad.value[index & 3];
  }
};

/// Writes values of one unit after the modifiers. A finite value beyond the dtype's range becomes
/// the nearest finite one: fills make infinities only when asked to.
struct Writer {
  const Source& source;
  void* data;
  WordReader replaced;

  ASSAY_HOST_DEVICE Writer(const Source& from, void* to)
      : source(from), data(to), replaced(from, kReplaceStream) {}

  ASSAY_HOST_DEVICE void operator()(uint64_t index, double value) {
    const Fill& fill = source.fill;
    if (fill.grid > 0) value = element::nearest_integer(value / fill.grid) * fill.grid;
    if (fill.replace > 0 && happens(replaced(index / fill.replace_row), fill.replace))
      value = fill.with;
    const double limit = element::largest_value(fill.dtype);
    const double infinity = element::double_of(0x7ff0000000000000ull);
    if (value > limit && value < infinity) value = limit;
    if (value < -limit && value > -infinity && fill.dtype <= Dtype::e5m2) value = -limit;
    element::store(fill.dtype, data, index, value);
  }
};

}  // namespace assay::fills
