// The arithmetic of fills, compiled for the CPU and for GPUs from this one source.
//
// Theory of operation. A fill is a pure function of (seed, generation, ordinal, index): no state is
// carried from element to element, so any thread can compute any part. Random numbers come from
// numbered streams; word i of a stream is word i mod 4 of the Philox block
//   key = seed, counter = (low and high half of i div 4, ordinal + 65536 * stream, generation).
// Most kinds are element-wise: element i uses word i of the main stream, and four consecutive
// elements share one Philox block, which makes a group of four the unit of work. Where a kind needs
// a second decision (an outlier? which sign?) it takes word i of another stream, so that no kind
// shifts the words of its neighbours. Kinds whose rows hang together (running sums, normalised
// rows) are computed row by row, each row by one thread from front to back; there the row is the
// unit.
//
// fill_unit() computes one unit; a GPU kernel is a loop over units, as is the host driver in
// fill.cc. Bits are equal everywhere because only exactly rounded double arithmetic is used
// (fill_math.h), each value is rounded once to the dtype (element.h), and contraction is off.
//
// Words used: one of the main stream per element (normal kinds: two elements share two words),
// besides: a second word for f64 uniform and for integer ranges above 2^32 (low), for outliers,
// signs and empty segments (choice), one a row for one_hot, scaled_rows and the longest segment,
// eight a row for permutation (row), one a field for packed_bits whose fields do not take all
// values (field), one per rejected attempt for zipf (retry), one per element or group for
// `replace`.
#pragma once

#include "tasks/fill_rows.h"
#include "tasks/fill_source.h"

namespace assay::fills {

/// What four neighbours share: readers of the streams for second decisions, read only if needed.
struct Group {
  const Source& source;
  WordReader low, choice, row;

  ASSAY_HOST_DEVICE explicit Group(const Source& from)
      : source(from), low(from, kLowStream), choice(from, kChoiceStream), row(from, kRowStream) {}
};

ASSAY_HOST_DEVICE inline double uniform(Group& group, uint64_t index, uint32_t word) {
  const Fill& fill = group.source.fill;
  double unit = (word >> 8) * 5.9604644775390625e-8;  // 2^-24: exact in f32, never 1
  if (fill.dtype == Dtype::f64)
    unit = ((word >> 5) * 67108864.0 + (group.low(index) >> 6)) * 1.1102230246251565e-16;  // 2^-53
  return fill.a + unit * (fill.b - fill.a);
}

ASSAY_HOST_DEVICE inline double random_integer(Group& group, uint64_t index, uint32_t word) {
  const Fill& fill = group.source.fill;
  const uint64_t range = static_cast<uint64_t>(fill.b - fill.a);
  if (range <= uint64_t{1} << 32) return fill.a + static_cast<double>(below(word, range));
  const uint64_t wide = uint64_t{word} << 32 | group.low(index);
  return fill.a + static_cast<double>(high_product(wide, range));
}

/// low <= result <= high, uniform in its logarithm.
ASSAY_HOST_DEVICE inline double log_uniform(uint32_t word, double low, double high) {
  const double log_low = fill_math::log_of(low);
  const double span = fill_math::log_of(high) - log_low;
  const double value = fill_math::exp_of(log_low + open_unit(word) * span);
  return value < low ? low : value > high ? high : value;
}

/// The permutation of one row: a Feistel network of eight rounds on 2 * half bits, the smallest
/// such domain with at least `size` numbers, and cycle walking for the numbers from `size` on
/// (Black, Rogaway: "Ciphers with arbitrary finite domains", CT-RSA 2002). The round function is
/// MurmurHash3's 32-bit finalizer of the half and a round key.
struct Permutation {
  uint64_t size;
  uint32_t half = 1;
  uint32_t keys[8];

  ASSAY_HOST_DEVICE Permutation(const Source& source, uint64_t row)
      : size(static_cast<uint64_t>(source.fill.a)) {
    while ((uint64_t{1} << (2 * half)) < size) ++half;
    for (uint32_t i = 0; i < 8; ++i) keys[i] = source.word(kRowStream, 8 * row + i);
  }
  ASSAY_HOST_DEVICE static uint32_t mixed(uint32_t x) {
    x ^= x >> 16;
    x *= 0x85ebca6bu;
    x ^= x >> 13;
    x *= 0xc2b2ae35u;
    return x ^ x >> 16;
  }
  ASSAY_HOST_DEVICE uint64_t operator()(uint64_t x) const {
    do {
      uint32_t left = static_cast<uint32_t>(x >> half);
      uint32_t right = static_cast<uint32_t>(x) & ((1u << half) - 1);
      for (uint32_t i = 0; i < 8; ++i) {
        const uint32_t next = left ^ mixed(right + keys[i]) >> (32 - half);
        left = right;
        right = next;
      }
      x = uint64_t{left} << half | right;
    } while (x >= size);
    return x;
  }
};

/// Zipf's law on 1 ... size by rejection from its continuous envelope (Hoermann, Derflinger:
/// "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS 6,
/// 1996). An attempt is accepted with probability above 0.7; after 64 the last one is taken.
struct Zipf {
  double size, exponent, first, last, squeeze;

  ASSAY_HOST_DEVICE explicit Zipf(const Fill& fill) : size(fill.a), exponent(fill.b) {
    first = integral(1.5) - 1;
    last = integral(size + 0.5);
    squeeze = 2 - inverse(integral(2.5) - fill_math::power_of(2, -exponent));
  }
  /// Of x^-exponent, from 1 to x.
  ASSAY_HOST_DEVICE double integral(double x) const {
    const double log_x = fill_math::log_of(x);
    const double t = (1 - exponent) * log_x;
    if (t > -1e-4 && t < 1e-4) return log_x * (1 + t * (0.5 + t * (1.0 / 6 + t * (1.0 / 24))));
    return (fill_math::exp_of(t) - 1) / (1 - exponent);
  }
  ASSAY_HOST_DEVICE double inverse(double area) const {
    const double t = area * (1 - exponent);
    if (t > -1e-4 && t < 1e-4)
      return fill_math::exp_of(area * (1 - t * (0.5 - t * (1.0 / 3 - t * (0.25 - t * 0.2)))));
    return fill_math::exp_of(fill_math::log_of(1 + t > 1e-300 ? 1 + t : 1e-300) / (1 - exponent));
  }
  ASSAY_HOST_DEVICE double operator()(const Source& source, uint64_t index, uint32_t word) const {
    double k = 1;
    for (uint32_t attempt = 0; attempt < 64; ++attempt) {
      if (attempt > 0) word = source.word(kRetryStream + attempt, index);
      const double area = last + open_unit(word) * (first - last);
      const double x = inverse(area);
      k = fill_math::floor_of(x + 0.5);
      k = k < 1 ? 1 : k > size ? size : k;
      if (k - x <= squeeze || area >= integral(k + 0.5) - fill_math::power_of(k, -exponent)) break;
    }
    return k - 1;
  }
};

ASSAY_HOST_DEVICE inline double stratified(const Fill& fill, uint64_t index, uint32_t word) {
  const double place = static_cast<double>(index % fill.row) + open_unit(word);
  const double value = fill.a + place / static_cast<double>(fill.row) * (fill.b - fill.a);
  return fill.dtype >= Dtype::i64 ? fill_math::floor_of(value) : value;
}

/// Kinds with random numbers whose element i depends on word i of the main stream.
ASSAY_HOST_DEVICE inline double drawn(Group& group, uint64_t index, uint32_t word) {
  const Fill& fill = group.source.fill;
  switch (fill.kind) {
    case FillKind::uniform:
      return uniform(group, index, word);
    case FillKind::randint:
      return random_integer(group, index, word);
    case FillKind::bernoulli:
      return happens(word, fill.a) ? fill.b : 0;
    case FillKind::exponential:
      return -fill.a * fill_math::log_of(open_unit(word));
    case FillKind::stratified:
      return stratified(fill, index, word);
    case FillKind::log_uniform: {
      const double value = log_uniform(word, fill.a, fill.b);
      return fill.c != 0 && (group.choice(index) & 1) != 0 ? -value : value;
    }
    default:
      return 0;
  }
}

/// Kinds made of standard normal numbers.
ASSAY_HOST_DEVICE inline double from_normal(Group& group, uint64_t index, double normal) {
  const Fill& fill = group.source.fill;
  switch (fill.kind) {
    case FillKind::half_normal:
      return fill.a * (normal < 0 ? -normal : normal);
    case FillKind::outliers: {
      const double value = fill.a + fill.b * normal;
      return happens(group.choice(index), fill.c) ? value * fill.d : value;
    }
    case FillKind::scaled_rows:
      return fill.a * normal * log_uniform(group.row(index / fill.row), fill.b, fill.c);
    default:
      return fill.a + fill.b * normal;
  }
}

/// Elements 4 * number ... 4 * number + 3 of an element-wise kind.
ASSAY_HOST_DEVICE inline Quad quad(const Source& source, uint64_t number) {
  const Fill& fill = source.fill;
  Quad result{};
  Group group(source);
  const uint64_t first = 4 * number;
  switch (fill.kind) {
    case FillKind::constant:
      for (int k = 0; k < 4; ++k) result.value[k] = fill.a;
      return result;
    case FillKind::arange:
      for (uint32_t k = 0; k < 4; ++k)
        result.value[k] = fill.a + static_cast<double>((first + k) % fill.row) * fill.b;
      return result;
    case FillKind::permutation: {
      uint64_t row = first / fill.row;
      Permutation permutation(source, row);
      for (uint32_t k = 0; k < 4 && first + k < fill.elements; ++k) {
        if ((first + k) / fill.row != row) permutation = Permutation(source, ++row);
        result.value[k] = static_cast<double>(permutation((first + k) % fill.row));
      }
      return result;
    }
    case FillKind::one_hot:
      for (uint32_t k = 0; k < 4; ++k) {
        const uint64_t place = below(group.row((first + k) / fill.row), fill.row);
        result.value[k] = (first + k) % fill.row == place ? fill.a : 0;
      }
      return result;
    case FillKind::normal:
    case FillKind::half_normal:
    case FillKind::outliers:
    case FillKind::scaled_rows: {
      const Quad normal = normals(source.block(kMainStream, number));
      for (uint32_t k = 0; k < 4; ++k)
        result.value[k] = from_normal(group, first + k, normal.value[k]);
      return result;
    }
    case FillKind::zipf: {
      const philox::Words words = source.block(kMainStream, number);
      const Zipf zipf(fill);
      for (uint32_t k = 0; k < 4; ++k) result.value[k] = zipf(source, first + k, words.word[k]);
      return result;
    }
    default: {
      const philox::Words words = source.block(kMainStream, number);
      for (uint32_t k = 0; k < 4; ++k) result.value[k] = drawn(group, first + k, words.word[k]);
      return result;
    }
  }
}

// --- Packed bits ---------------------------------------------------------------------------------

/// Element `index` of packed_bits as the bits of its word. Fields that take all their values are a
/// random word (two for 64 bits) as it is; others are drawn one by one. Field 0 is the lowest; bits
/// above the last whole field are zero.
ASSAY_HOST_DEVICE inline uint64_t packed_word(const Source& source, uint64_t index,
                                              uint32_t width) {
  const Fill& fill = source.fill;
  const uint32_t bits = static_cast<uint32_t>(fill.a);
  const uint64_t low = static_cast<uint64_t>(fill.b);
  const uint64_t range = static_cast<uint64_t>(fill.c - fill.b);
  const uint32_t used = width / bits * bits;
  const uint64_t used_mask = used >= 64 ? ~uint64_t{0} : (uint64_t{1} << used) - 1;
  if (low == 0 && range == uint64_t{1} << bits) {
    uint64_t word = source.word(kMainStream, index);
    if (width == 64) word |= uint64_t{source.word(kLowStream, index)} << 32;
    return word & used_mask;
  }
  uint64_t result = 0;
  for (uint32_t field = 0; (field + 1) * bits <= width; ++field)
    result |= (low + below(source.word(kFieldStream + field, index), range)) << (field * bits);
  return result;
}

ASSAY_HOST_DEVICE inline void store_bits(Dtype dtype, void* data, uint64_t index, uint64_t bits) {
  switch (dtype) {
    case Dtype::f64:
    case Dtype::i64:
      static_cast<uint64_t*>(data)[index] = bits;
      break;
    case Dtype::tf32:
      static_cast<uint32_t*>(data)[index] = static_cast<uint32_t>(bits) << 13;
      break;
    case Dtype::f32:
    case Dtype::i32:
    case Dtype::u32:
      static_cast<uint32_t*>(data)[index] = static_cast<uint32_t>(bits);
      break;
    case Dtype::f16:
    case Dtype::bf16:
    case Dtype::i16:
      static_cast<uint16_t*>(data)[index] = static_cast<uint16_t>(bits);
      break;
    case Dtype::e4m3:
    case Dtype::e5m2:
    case Dtype::i8:
    case Dtype::u8:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(bits);
      break;
    case Dtype::boolean:
      static_cast<uint8_t*>(data)[index] = static_cast<uint8_t>(bits & 1);
      break;
  }
}

/// Random bits of one element of the dtype: 19 for tf32, 1 for bool.
ASSAY_HOST_DEVICE inline uint32_t packed_width(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
    case Dtype::i64:
      return 64;
    case Dtype::f32:
    case Dtype::i32:
    case Dtype::u32:
      return 32;
    case Dtype::tf32:
      return 19;
    case Dtype::f16:
    case Dtype::bf16:
    case Dtype::i16:
      return 16;
    case Dtype::boolean:
      return 1;
    default:
      return 8;
  }
}

// --- Units ---------------------------------------------------------------------------------------

ASSAY_HOST_DEVICE inline bool by_rows(FillKind kind) {
  switch (kind) {
    case FillKind::cumulative_lengths:
    case FillKind::lengths:
    case FillKind::segment_ids:
    case FillKind::sorted_unique:
    case FillKind::unit_rows:
    case FillKind::softmax_rows:
      return true;
    default:
      return false;
  }
}

/// Kinds that deal out segments; tensors with the same ordinal and parameters share theirs.
ASSAY_HOST_DEVICE inline bool in_segments(FillKind kind) {
  return kind == FillKind::cumulative_lengths || kind == FillKind::lengths ||
         kind == FillKind::segment_ids || kind == FillKind::sorted_unique;
}

/// How many units a fill has: rows, or groups of four elements. Units are independent.
ASSAY_HOST_DEVICE inline uint64_t unit_count(const Fill& fill) {
  if (fill.elements == 0) return 0;
  return by_rows(fill.kind) ? fill.elements / fill.row : (fill.elements + 3) / 4;
}

/// Computes one unit and writes its elements to their places in `data`, the start of the tensor.
ASSAY_HOST_DEVICE inline void fill_unit(const Fill& fill, FillKey key, uint64_t unit, void* data) {
  const Source source{fill, key};
  Writer write(source, data);
  switch (fill.kind) {
    case FillKind::cumulative_lengths:
    case FillKind::lengths:
    case FillKind::segment_ids:
      return fill_segments(source, unit, write);
    case FillKind::sorted_unique:
      return fill_sorted_unique(source, unit, write);
    case FillKind::unit_rows:
      return fill_unit_row(source, unit, write);
    case FillKind::softmax_rows:
      return fill_softmax_row(source, unit, write);
    default:
      break;
  }
  const uint64_t first = 4 * unit;
  const uint64_t end = first + 4 < fill.elements ? first + 4 : fill.elements;
  if (fill.kind == FillKind::packed_bits) {
    const uint32_t width = packed_width(fill.dtype);
    for (uint64_t i = first; i < end; ++i)
      store_bits(fill.dtype, data, i, packed_word(source, i, width));
    return;
  }
  const Quad values = quad(source, unit);
  for (uint64_t i = first; i < end; ++i) write(i, values.value[i - first]);
}

}  // namespace assay::fills
