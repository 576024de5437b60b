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

// --- The store: modifiers, range, rounding -------------------------------------------------------

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

// --- Element-wise kinds --------------------------------------------------------------------------

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

// --- Kinds computed row by row -------------------------------------------------------------------

/// The lengths of the segments of one row of cumulative_lengths, lengths or segment_ids, one after
/// another. Tensors with the same ordinal and parameters get the same lengths, whatever the kind.
///
/// `total` is dealt out thus: every segment has `minimum`; the segment called longest gets the
/// share `longest` of the rest; what is left is split in proportion to weights u^skew, u uniform in
/// (0, 1) (0: equal, 1: lengths uniform, 5: few long ones). A share `empty` of the segments,
/// rounded to nearest but at least one and not all, has weight 0 and so exactly the minimum.
struct Segments {
  const Source& source;
  uint64_t base;  // words of the row start here
  uint64_t count, total;
  double minimum, skew;
  uint64_t empty = 0;    // how many
  uint64_t longest = 0;  // which; `count` for none
  double bonus = 0;      // its extra length
  double shared = 0;     // split by weight
  double weight_sum = 0;
  // The walk:
  uint64_t next = 0;
  uint64_t empty_left = 0;
  double weight_so_far = 0;
  double given = 0;

  ASSAY_HOST_DEVICE Segments(const Source& from, uint64_t row, uint64_t segments, uint64_t sum)
      : source(from), base(row * segments), count(segments), total(sum) {
    const Fill& fill = source.fill;
    minimum = fill.b;
    skew = fill.c;
    if (fill.d > 0 && count > 1) {
      const double wanted = element::nearest_integer(fill.d * static_cast<double>(count));
      empty = wanted < 1 ? 1 : static_cast<uint64_t>(wanted);
      if (empty > count - 1) empty = count - 1;
    }
    longest = fill.e > 0 ? below(source.word(kRowStream, row), count) : count;
    const double rest = static_cast<double>(total) - minimum * static_cast<double>(count);
    bonus = fill.e > 0 ? fill_math::floor_of(rest * fill.e) : 0;
    shared = rest - bonus;
    restart();
    WordReader words(source, kMainStream), choices(source, kChoiceStream);
    for (uint64_t j = 0; j < count; ++j) weight_sum += weight(j, words, choices);
    if (weight_sum == 0) {  // all are empty or the longest: it takes everything
      bonus = rest;
      shared = 0;
    }
    restart();
  }

  ASSAY_HOST_DEVICE void restart() {
    next = 0;
    empty_left = empty;
    weight_so_far = 0;
    given = 0;
  }

  /// Must be called for j = 0, 1, ...: which segments are empty is decided by selection sampling
  /// (Knuth, TAOCP volume 2, 3.4.2, algorithm S).
  ASSAY_HOST_DEVICE double weight(uint64_t j, WordReader& words, WordReader& choices) {
    if (j == longest) return 0;
    const uint64_t others_left = count - j - (longest < count && j < longest ? 1 : 0);
    if (empty_left > 0 && below(choices(j + base), others_left) < empty_left) {
      empty_left -= 1;
      return 0;
    }
    const uint32_t word = words(j + base);
    if (skew == 0) return 1;
    if (skew == 1) return open_unit(word);
    return fill_math::power_of(open_unit(word), skew);
  }

  /// The length of the next segment.
  ASSAY_HOST_DEVICE double length(WordReader& words, WordReader& choices) {
    weight_so_far += weight(next, words, choices);
    double until = 0;  // running share, so that the lengths sum to `shared` exactly
    if (shared > 0) until = fill_math::floor_of(shared * (weight_so_far / weight_sum));
    const double share = until - given;
    given = until;
    const double extra = next == longest ? bonus : 0;
    next += 1;
    return minimum + share + extra;
  }
};

ASSAY_HOST_DEVICE inline void fill_segments(const Source& source, uint64_t row, Writer& write) {
  const Fill& fill = source.fill;
  const uint64_t begin = row * fill.row;
  WordReader words(source, kMainStream), choices(source, kChoiceStream);
  if (fill.kind == FillKind::segment_ids) {
    Segments segments(source, row, static_cast<uint64_t>(fill.a), fill.row);
    uint64_t at = 0;
    for (uint64_t j = 0; j < segments.count; ++j) {
      const uint64_t length = static_cast<uint64_t>(segments.length(words, choices));
      for (uint64_t k = 0; k < length && at < fill.row; ++k)
        write(begin + at++, static_cast<double>(j));
    }
    return;
  }
  const bool cumulative = fill.kind == FillKind::cumulative_lengths;
  const uint64_t count = cumulative ? fill.row - 1 : fill.row;
  double sum = 0;
  if (cumulative) write(begin, 0);
  if (count == 0) return;
  Segments segments(source, row, count, static_cast<uint64_t>(fill.a));
  for (uint64_t j = 0; j < count; ++j) {
    const double length = segments.length(words, choices);
    sum += length;
    if (cumulative)
      write(begin + j + 1, sum);
    else
      write(begin + j, length);
  }
}

/// How many numbers to skip before the next member of a random subset, where `left` members are
/// still to come and `spare` numbers will not be members (Vitter: "Faster methods for random
/// sampling", CACM 27, 1984). The skip is at least s with probability
///   spare / (spare + left) * (spare - 1) / (spare + left - 1) * ... (s factors);
/// where members are dense the product is inverted step by step, else by the closed form
/// ((A - s) / A)^left with A = spare + (left + 1) / 2, whose relative error is below 1e-3.
ASSAY_HOST_DEVICE inline double subset_skip(uint32_t word, double left, double spare) {
  const double u = open_unit(word);
  if (spare <= 16 * left) {
    double skip = 0;
    double at_least = spare / (spare + left);
    while (u < at_least) {
      skip += 1;
      at_least *= (spare - skip) / (spare + left - skip);
    }
    return skip;
  }
  const double range = spare + (left + 1) * 0.5;
  const double root = fill_math::exp_of(fill_math::log_of(u) / left);
  const double skip = fill_math::floor_of(range * (1 - root));
  return skip < spare ? skip : spare;
}

/// A random subset of `row` numbers of [low, high), in ascending order.
ASSAY_HOST_DEVICE inline void fill_sorted_unique(const Source& source, uint64_t row,
                                                 Writer& write) {
  const Fill& fill = source.fill;
  WordReader words(source, kMainStream);
  double spare = fill.b - fill.a - static_cast<double>(fill.row);
  double next = fill.a;
  for (uint64_t j = 0; j < fill.row; ++j) {
    const uint64_t index = row * fill.row + j;
    const double skip = subset_skip(words(index), static_cast<double>(fill.row - j), spare);
    spare -= skip;
    write(index, next + skip);
    next += skip + 1;
  }
}

ASSAY_HOST_DEVICE inline void fill_unit_row(const Source& source, uint64_t row, Writer& write) {
  const uint64_t begin = row * source.fill.row;
  const uint64_t end = begin + source.fill.row;
  NormalReader normal(source);
  double sum = 0;
  for (uint64_t i = begin; i < end; ++i) {
    const double value = normal(i);
    sum += value * value;
  }
  const double norm = fill_math::square_root(sum);
  for (uint64_t i = begin; i < end; ++i) write(i, norm > 0 ? normal(i) / norm : 0);
}

ASSAY_HOST_DEVICE inline void fill_softmax_row(const Source& source, uint64_t row, Writer& write) {
  const uint64_t begin = row * source.fill.row;
  const uint64_t end = begin + source.fill.row;
  const double stddev = source.fill.a;
  NormalReader normal(source);
  double sum = 0;
  for (uint64_t i = begin; i < end; ++i) sum += fill_math::exp_of(stddev * normal(i));
  if (source.fill.b != 0) {
    const double log_sum = fill_math::log_of(sum);
    for (uint64_t i = begin; i < end; ++i) write(i, stddev * normal(i) - log_sum);
  } else {
    for (uint64_t i = begin; i < end; ++i) write(i, fill_math::exp_of(stddev * normal(i)) / sum);
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
