#include "agents/model/prices.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include "base/files.h"

namespace assay {

Result<PriceTable> PriceTable::load(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const std::string text, read_file(file, 4 << 20));
  PriceTable table;
  try {
    const toml::table root = toml::parse(text, file.string());
    table.version = root["version"].value_or(std::string());
    const toml::array* prices = root["price"].as_array();
    for (size_t i = 0; prices && i < prices->size(); ++i) {
      const toml::table* row = (*prices)[i].as_table();
      Price price;
      if (row) price.model = (*row)["model"].value_or(std::string());
      const auto input = row ? (*row)["input"].value<double>() : std::nullopt;
      const auto output = row ? (*row)["output"].value<double>() : std::nullopt;
      if (price.model.empty() || !input || !output)
        return Error{ErrorKind::invalid,
                     fmt::format("{}: [[price]] number {} needs model, input and output (in $ per "
                                 "million tokens)",
                                 file.string(), i + 1)};
      price.input = *input;
      price.output = *output;
      price.cache_read = (*row)["cache_read"].value<double>().value_or(*input);
      price.cache_write = (*row)["cache_write"].value<double>().value_or(*input);
      table.prices.push_back(std::move(price));
    }
  } catch (const toml::parse_error& error) {
    return Error{ErrorKind::invalid, fmt::format("{}:{}: {}", file.string(),
                                                 error.source().begin.line, error.description())};
  }
  return table;
}

std::optional<Price> PriceTable::find(const std::string& model) const {
  const Price* best = nullptr;
  for (const Price& price : prices) {
    if (price.model == model) return price;
    const bool prefix = price.model.ends_with('*') &&
                        model.starts_with(price.model.substr(0, price.model.size() - 1));
    if (prefix && (!best || price.model.size() > best->model.size())) best = &price;
  }
  if (!best) return std::nullopt;
  return *best;
}

std::optional<double> cost_of(const Usage& usage, const std::optional<Price>& price) {
  if (!price || !usage.input_uncached || !usage.output_visible) return std::nullopt;
  const auto dollars = [](const std::optional<int64_t>& tokens, double per_million) {
    return static_cast<double>(tokens.value_or(0)) * per_million / 1e6;
  };
  return dollars(usage.input_uncached, price->input) +
         dollars(usage.input_cache_read, price->cache_read) +
         dollars(usage.input_cache_write, price->cache_write) +
         dollars(usage.output_visible, price->output) +
         dollars(usage.output_reasoning, price->output);
}

}  // namespace assay
