// Reads one TOML table key by key, collecting complaints with line numbers.
#pragma once

#include <toml++/toml.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/problems.h"

namespace assay {

int line_of(const toml::node& node);

/// A table of a task file. Every take function marks its key as known; finish() complains about the
/// keys that were never asked for. A value of the wrong type is a complaint and reads as absent.
class TomlReader {
 public:
  enum class Presence { required, optional };

  /// `where` stands before the key in complaints ("tensor x"); empty for the file's own keys.
  TomlReader(Problems& problems, const toml::table& table, std::string where)
      : problems_(problems), table_(table), where_(std::move(where)) {}

  std::optional<std::string> text(std::string_view key, Presence presence);
  std::optional<double> number(std::string_view key, Presence presence);
  std::optional<bool> boolean(std::string_view key);
  std::optional<int64_t> integer(std::string_view key, Presence presence);
  /// A number, or text that is an expression, as an expression.
  std::optional<std::string> expression(std::string_view key, Presence presence);
  std::optional<std::vector<std::string>> expressions(std::string_view key, Presence presence);
  /// One of `allowed`; a complaint lists them.
  std::optional<std::string> choice(std::string_view key, const std::vector<std::string>& allowed,
                                    Presence presence);
  const toml::table* table(std::string_view key, Presence presence);
  /// The tables of [[key]]; empty where there are none.
  std::vector<const toml::table*> tables(std::string_view key);

  void finish();

  void complain(std::string_view key, std::string_view text);
  void rename(std::string where) { where_ = std::move(where); }
  /// The line of the key's value, or of the table where the key is absent.
  int line(std::string_view key) const;
  const std::string& where() const { return where_; }

 private:
  const toml::node* take(std::string_view key, Presence presence);
  void wrong_type(std::string_view key, const toml::node& node, std::string_view allowed);

  Problems& problems_;
  const toml::table& table_;
  std::string where_;
  std::set<std::string, std::less<>> known_;
};

/// A number or text of TOML as an expression; nothing for other types.
std::optional<std::string> as_expression(const toml::node& node);

/// "text", "an integer", "a table", ...
std::string_view type_in_words(const toml::node& node);

/// The table's keys in the order of the file.
std::vector<std::pair<std::string, const toml::node*>> in_file_order(const toml::table& table);

}  // namespace assay
