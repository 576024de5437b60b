#include "tasks/fill.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "tasks/fill_element.h"

namespace assay {

namespace {

/// Groups of four of one kind and dtype without modifiers, exactly as fill_unit() computes them: as
/// constants they let the compiler drop switches and tests from the loop.
template <FillKind kind, Dtype dtype>
[[gnu::flatten]] void fill_plain(Fill fill, FillKey key, uint64_t begin, uint64_t end, void* data) {
  fill.kind = kind;
  fill.dtype = dtype;
  fill.grid = 0;
  fill.replace = 0;
  const fills::Source source{fill, key};
  fills::Writer write(source, data);
  for (uint64_t unit = begin; unit < end; ++unit) {
    const philox::Words words = source.block(fills::kMainStream, unit);
    fills::Group group(source);
    fills::Quad normal{};
    if constexpr (kind == FillKind::normal) normal = fills::normals(words);
    for (uint64_t k = 0; k < 4 && 4 * unit + k < fill.elements; ++k) {
      const uint64_t i = 4 * unit + k;
      if constexpr (kind == FillKind::normal)
        write(i, fill.a + fill.b * normal.value[k]);
      else if constexpr (kind == FillKind::uniform)
        write(i, uniform(group, i, words.word[k]));
      else
        write(i, random_integer(group, i, words.word[k]));
    }
  }
}

using Loop = void (*)(Fill, FillKey, uint64_t, uint64_t, void*);

template <FillKind kind, Dtype... dtypes>
Loop loop_for(Dtype dtype) {
  Loop loop = nullptr;
  ((dtype == dtypes ? void(loop = fill_plain<kind, dtypes>) : void()), ...);
  return loop;
}

/// The fast loop for what large inputs mostly are; null for the rest.
Loop fast_loop(const Fill& fill) {
  if (fill.grid != 0 || fill.replace != 0) return nullptr;
  using enum Dtype;
  switch (fill.kind) {
    case FillKind::normal:
      return loop_for<FillKind::normal, f32, f16, bf16>(fill.dtype);
    case FillKind::uniform:
      return loop_for<FillKind::uniform, f32, f16, bf16>(fill.dtype);
    case FillKind::randint:
      return loop_for<FillKind::randint, i64, i32>(fill.dtype);
    default:
      return nullptr;
  }
}

void fill_units(const Fill& fill, FillKey key, uint64_t begin, uint64_t end, void* data) {
  if (const Loop loop = fast_loop(fill)) return loop(fill, key, begin, end, data);
  for (uint64_t unit = begin; unit < end; ++unit) fills::fill_unit(fill, key, unit, data);
}

}  // namespace

void fill_on_host(const Fill& fill, FillKey key, void* data, int threads) {
  if (fill.elements == 0) return;
  const uint64_t units = fills::unit_count(fill);
  const uint64_t cores = std::max(1u, std::thread::hardware_concurrency());
  // A thread is worth its start from about 2^16 elements on.
  const uint64_t workers =
      std::clamp<uint64_t>(fill.elements >> 16, 1,
                           std::min(units, threads > 0 ? static_cast<uint64_t>(threads) : cores));
  std::vector<std::jthread> others;
  for (uint64_t worker = 1; worker < workers; ++worker)
    others.emplace_back([&, worker] {
      fill_units(fill, key, units * worker / workers, units * (worker + 1) / workers, data);
    });
  fill_units(fill, key, 0, units / workers, data);
}

}  // namespace assay
