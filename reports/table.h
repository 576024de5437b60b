// A table of text for terminals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace assay {

/// Columns are as wide as their widest cell; cells of `right` columns are aligned right. The last
/// column is cut, with "...", so that lines fit into `width` characters (0: no limit).
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<bool> right = {});
  void add(std::vector<std::string> row);
  std::string text(size_t width = 0) const;
  size_t rows() const { return rows_.size(); }

 private:
  std::vector<std::string> header_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// Columns of the terminal behind `descriptor`, or 0 where it is none.
size_t terminal_width(int descriptor);

/// 1234567 as "1.23 M"; for counts in tables.
std::string short_count(uint64_t count);
/// 12345 as "12.1 KiB".
std::string short_bytes(uint64_t bytes);
/// Milliseconds as "12 ms", "3.4 s" or "5 min 6 s".
std::string short_duration(double milliseconds);

}  // namespace assay
