#include "evaluator/check/trusted.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

namespace assay::trusted {

namespace {

constexpr uint64_t kGrain = 1 << 18;  // elements that are worth a thread

size_t thread_limit(int threads) {
  return threads > 0 ? static_cast<size_t>(threads)
                     : std::max(1u, std::thread::hardware_concurrency());
}

/// Calls work(begin, end, slice) on at most `limit` slices of [0, count), in threads where that
/// pays.
template <typename Work>
void in_slices(uint64_t count, size_t limit, const Work& work) {
  const uint64_t slices = std::clamp<uint64_t>(count / kGrain, 1, limit);
  std::vector<std::jthread> threads;
  for (uint64_t slice = 1; slice < slices; ++slice)
    threads.emplace_back([&work, count, slice, slices] {
      work(count * slice / slices, count * (slice + 1) / slices, slice);
    });
  work(0, count / slices, 0);
}

}  // namespace

void poison_on_host(Dtype dtype, uint64_t elements, uint64_t key, void* data, int threads) {
  in_slices(elements, thread_limit(threads), [&](uint64_t begin, uint64_t end, uint64_t) {
    for (uint64_t i = begin; i < end; ++i) store_bits(dtype, data, i, poison_bits(dtype, i, key));
  });
}

uint64_t hash_on_host(const void* data, uint64_t bytes, uint64_t key, int threads) {
  std::vector<uint64_t> sums(thread_limit(threads));
  const auto* start = static_cast<const unsigned char*>(data);
  in_slices((bytes + 7) / 8, sums.size(), [&](uint64_t begin, uint64_t end, uint64_t slice) {
    uint64_t sum = 0;
    for (uint64_t i = begin; i < end; ++i) {
      uint64_t word = 0;
      std::memcpy(&word, start + 8 * i, std::min<uint64_t>(8, bytes - 8 * i));
      sum += hash_word(word, i, key);
    }
    sums[slice] = sum;
  });
  uint64_t total = 0;
  for (const uint64_t sum : sums) total += sum;
  return total;
}

void write_red_zone_on_host(void* zone, uint64_t key) {
  for (uint64_t i = 0; i < kRedZoneBytes; ++i)
    static_cast<uint8_t*>(zone)[i] = red_zone_byte(i, key);
}

uint64_t check_red_zone_on_host(const void* zone, uint64_t key) {
  uint64_t changed = 0;
  for (uint64_t i = 0; i < kRedZoneBytes; ++i)
    changed += static_cast<const uint8_t*>(zone)[i] != red_zone_byte(i, key);
  return changed;
}

Comparison compare_on_host(const void* got, const void* want, Dtype dtype, uint64_t elements,
                           const Tolerance& tolerance, int threads) {
  std::vector<ComparisonPart> parts(thread_limit(threads), empty_part());
  in_slices(elements, parts.size(), [&](uint64_t begin, uint64_t end, uint64_t slice) {
    ComparisonPart part = empty_part();
    for (uint64_t i = begin; i < end; ++i)
      add(part,
          judge(dtype, load_bits(dtype, got, i), load_bits(dtype, want, i),
                element::load(dtype, got, i), element::load(dtype, want, i), tolerance.atol,
                tolerance.rtol),
          i);
    parts[slice] = part;
  });
  for (size_t i = 1; i < parts.size(); ++i) combine(parts[0], parts[i]);
  return finish(parts[0], tolerance);
}

Comparison finish(const ComparisonPart& part, const Tolerance& tolerance) {
  Comparison comparison;
  comparison.elements = part.elements;
  comparison.mismatches = part.mismatches;
  comparison.nonfinite_mismatches = part.nonfinite_mismatches;
  if (part.mismatches > 0) {
    comparison.first = ElementError{part.first_index, part.first_absolute, part.first_relative};
    comparison.worst = ElementError{part.worst_index, part.worst_absolute, part.worst_relative};
  }
  comparison.max_absolute = part.max_absolute;
  comparison.max_bound_ratio = part.max_ratio;
  const double ratio = std::sqrt(part.error_squares / part.want_squares);
  const bool known = std::isfinite(ratio) && std::isfinite(part.want_squares);
  comparison.rel_frobenius = part.error_squares == 0 ? 0
                             : known                 ? std::min(ratio, kMaxRatio)
                                                     : kMaxRatio;
  comparison.frobenius_exceeded =
      tolerance.rel_frobenius && comparison.rel_frobenius > *tolerance.rel_frobenius;
  return comparison;
}

}  // namespace assay::trusted
