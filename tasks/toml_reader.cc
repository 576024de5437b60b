#include "tasks/toml_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "tasks/nearest.h"

namespace assay {

int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

std::string_view type_in_words(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

std::optional<std::string> as_expression(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return fmt::format("{}", integer->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "1" : "0";
  return std::nullopt;
}

std::vector<std::pair<std::string, const toml::node*>> in_file_order(const toml::table& table) {
  struct Entry {
    toml::source_position position;
    std::string key;
    const toml::node* node;
  };
  std::vector<Entry> entries;
  for (const auto& [key, node] : table)
    entries.push_back({key.source().begin, std::string(key.str()), &node});
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.position < b.position; });
  std::vector<std::pair<std::string, const toml::node*>> result;
  for (Entry& entry : entries) result.emplace_back(std::move(entry.key), entry.node);
  return result;
}

int TomlReader::line(std::string_view key) const {
  const toml::node* node = table_.get(key);
  return line_of(node ? *node : static_cast<const toml::node&>(table_));
}

void TomlReader::complain(std::string_view key, std::string_view text) {
  const std::string path = where_.empty() ? std::string(key)
                           : key.empty()  ? where_
                                          : fmt::format("{}: {}", where_, key);
  problems_.add(std::max(1, line(key)), path, text);
}

const toml::node* TomlReader::take(std::string_view key, Presence presence) {
  known_.emplace(key);
  const toml::node* node = table_.get(key);
  if (!node && presence == Presence::required) complain(key, "is missing");
  return node;
}

void TomlReader::wrong_type(std::string_view key, const toml::node& node,
                            std::string_view allowed) {
  complain(key, fmt::format("is {}; it must be {}", type_in_words(node), allowed));
}

std::optional<std::string> TomlReader::text(std::string_view key, Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return std::nullopt;
  if (const auto* value = node->as_string()) return value->get();
  wrong_type(key, *node, "text in quotes");
  return std::nullopt;
}

std::optional<double> TomlReader::number(std::string_view key, Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return std::nullopt;
  if (const auto* value = node->as_integer()) return static_cast<double>(value->get());
  if (const auto* value = node->as_floating_point()) return value->get();
  wrong_type(key, *node, "a number");
  return std::nullopt;
}

std::optional<bool> TomlReader::boolean(std::string_view key) {
  const toml::node* node = take(key, Presence::optional);
  if (!node) return std::nullopt;
  if (const auto* value = node->as_boolean()) return value->get();
  wrong_type(key, *node, "true or false");
  return std::nullopt;
}

std::optional<int64_t> TomlReader::integer(std::string_view key, Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return std::nullopt;
  if (const auto* value = node->as_integer()) return value->get();
  wrong_type(key, *node, "an integer");
  return std::nullopt;
}

std::optional<std::string> TomlReader::expression(std::string_view key, Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return std::nullopt;
  if (std::optional<std::string> text = as_expression(*node)) return text;
  wrong_type(key, *node, "a number or an expression in quotes");
  return std::nullopt;
}

std::optional<std::vector<std::string>> TomlReader::expressions(std::string_view key,
                                                                Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return std::nullopt;
  const toml::array* list = node->as_array();
  if (!list) {
    wrong_type(key, *node, "a list of numbers or expressions in quotes");
    return std::nullopt;
  }
  std::vector<std::string> result;
  for (const toml::node& element : *list) {
    const std::optional<std::string> text = as_expression(element);
    if (text)
      result.push_back(*text);
    else
      complain(key, fmt::format("element {} is {}; it must be a number or an expression in "
                                "quotes",
                                result.size(), type_in_words(element)));
    if (!text) return std::nullopt;
  }
  return result;
}

std::optional<std::string> TomlReader::choice(std::string_view key,
                                              const std::vector<std::string>& allowed,
                                              Presence presence) {
  std::optional<std::string> value = text(key, presence);
  if (value && std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
    complain(key, fmt::format("{} is not known; allowed: {}{}", in_quotes(*value), listed(allowed),
                              suggestion(*value, allowed)));
    return std::nullopt;
  }
  return value;
}

const toml::table* TomlReader::table(std::string_view key, Presence presence) {
  const toml::node* node = take(key, presence);
  if (!node) return nullptr;
  if (const auto* value = node->as_table()) return value;
  wrong_type(key, *node, "a table");
  return nullptr;
}

std::vector<const toml::table*> TomlReader::tables(std::string_view key) {
  std::vector<const toml::table*> result;
  const toml::node* node = take(key, Presence::optional);
  if (!node) return result;
  const toml::array* list = node->as_array();
  if (!list) {
    complain(key, fmt::format("is {}; it must be written as [[{}]]", type_in_words(*node), key));
    return result;
  }
  for (const toml::node& element : *list) {
    if (const auto* value = element.as_table())
      result.push_back(value);
    else
      complain(key,
               fmt::format("holds {}; it must be written as [[{}]]", type_in_words(element), key));
  }
  return result;
}

void TomlReader::finish() {
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (known_.contains(name)) continue;
    const std::string path =
        where_.empty() ? in_quotes(name) : fmt::format("{}: {}", where_, in_quotes(name));
    problems_.add(
        static_cast<int>(key.source().begin.line), path,
        fmt::format("is not a known key; allowed: {}{}", listed(known), suggestion(name, known)));
  }
}

}  // namespace assay
