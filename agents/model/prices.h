// Prices of models, from a table file: $ per million tokens.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "agents/model/model.h"
#include "base/result.h"

namespace assay {

struct Price {
  std::string model;  // a name, or a prefix that ends with '*'
  double input = 0;
  double output = 0;  // reasoning too
  double cache_read = 0;
  double cache_write = 0;
};

/// A TOML file: `version = "..."` and [[price]] with model, input, output and, where they differ
/// from input, cache_read and cache_write.
struct PriceTable {
  std::string version;
  std::vector<Price> prices;

  static Result<PriceTable> load(const std::filesystem::path& file);
  /// The price of the model: an exact name before the longest prefix. Absent: not in the table.
  std::optional<Price> find(const std::string& model) const;
};

/// Dollars; absent where the price or the counters are unknown, never 0 for that.
std::optional<double> cost_of(const Usage& usage, const std::optional<Price>& price);

}  // namespace assay
