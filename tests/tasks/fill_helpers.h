// Helpers of the fill tests.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tasks/fill_kinds.h"

namespace assay {

/// A fill as a task would make it; the test fails where its parameters are not allowed.
inline Fill fill_of(FillKind kind, Dtype dtype, uint64_t elements,
                    const std::map<std::string, double>& values = {}, uint32_t ordinal = 0) {
  const Result<Fill> fill = make_fill(kind, dtype, elements, ordinal, values);
  EXPECT_TRUE(fill.ok()) << (fill.ok() ? "" : fill.error().message);
  return fill.ok() ? *fill : Fill{};
}

inline std::vector<char> bytes_of(const Fill& fill, FillKey key, int threads = 1) {
  std::vector<char> bytes(fill.elements * size_bytes(fill.dtype));
  fill_on_host(fill, key, bytes.data(), threads);
  return bytes;
}

/// The elements as doubles.
inline std::vector<double> values_of(const Fill& fill, FillKey key = {42, 0}) {
  const std::vector<char> bytes = bytes_of(fill, key);
  std::vector<double> values(fill.elements);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = to_double(fill.dtype, bytes.data() + i * size_bytes(fill.dtype));
  return values;
}

}  // namespace assay
