// Kinds of fills whose rows hang together, each row computed by one thread from front to back:
// offsets, lengths and ids of segments, random subsets, normalised rows.
#pragma once

#include "tasks/fill_source.h"

namespace assay::fills {

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

}  // namespace assay::fills
