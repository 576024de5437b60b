#include "reports/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace assay {

namespace {

/// Characters, not bytes, of UTF-8 text.
size_t characters(const std::string& text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

std::string cut(const std::string& text, size_t width) {
  if (characters(text) <= width) return text;
  const size_t keep = width > 3 ? width - 3 : 0;
  size_t bytes = 0;
  for (size_t seen = 0; bytes < text.size(); ++bytes)
    if ((text[bytes] & 0xC0) != 0x80 && seen++ == keep) break;
  return text.substr(0, bytes) + "...";
}

}  // namespace

Table::Table(std::vector<std::string> header, std::vector<bool> right)
    : header_(std::move(header)), right_(std::move(right)) {
  right_.resize(header_.size());
}

void Table::add(std::vector<std::string> row) {
  row.resize(header_.size());
  for (std::string& cell : row)
    std::ranges::replace_if(
        cell, [](char byte) { return static_cast<unsigned char>(byte) < 32 || byte == 127; }, ' ');
  rows_.push_back(std::move(row));
}

std::string Table::text(size_t width) const {
  const size_t columns = header_.size();
  std::vector<size_t> widths(columns);
  for (size_t column = 0; column < columns; ++column) {
    widths[column] = characters(header_[column]);
    for (const auto& row : rows_)
      widths[column] = std::max(widths[column], characters(row[column]));
  }
  size_t before_last = 0;
  for (size_t column = 0; column + 1 < columns; ++column) before_last += widths[column] + 2;
  const size_t room = width == 0                ? widths.back()
                      : width > before_last + 8 ? width - before_last
                                                : 8;

  std::string text;
  const auto line = [&](const std::vector<std::string>& row) {
    for (size_t column = 0; column < columns; ++column) {
      const bool last = column + 1 == columns;
      const std::string cell = last ? cut(row[column], room) : row[column];
      const std::string padding(widths[column] - std::min(widths[column], characters(cell)), ' ');
      if (right_[column])
        text += padding + cell;
      else
        text += cell + (last ? "" : padding);
      if (!last) text += "  ";
    }
    text += '\n';
  };
  line(header_);
  for (const auto& row : rows_) line(row);
  return text;
}

size_t terminal_width(int descriptor) {
  winsize size{};
  if (!isatty(descriptor) || ioctl(descriptor, TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string short_count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (count < 1000) return fmt::format("{}", count);
  if (value < 1e6) return fmt::format("{:.3g} k", value / 1e3);
  if (value < 1e9) return fmt::format("{:.3g} M", value / 1e6);
  return fmt::format("{:.3g} G", value / 1e9);
}

std::string short_bytes(uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (value < 1024.0 * 1024) return fmt::format("{:.1f} KiB", value / 1024);
  if (value < 1024.0 * 1024 * 1024) return fmt::format("{:.1f} MiB", value / (1024 * 1024));
  return fmt::format("{:.1f} GiB", value / (1024.0 * 1024 * 1024));
}

std::string short_duration(double milliseconds) {
  if (milliseconds < 1000) return fmt::format("{:.0f} ms", milliseconds);
  const double seconds = milliseconds / 1000;
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  return fmt::format("{:.0f} min {:.0f} s", static_cast<double>(static_cast<int>(seconds / 60)),
                     static_cast<double>(static_cast<int>(seconds) % 60));
}

}  // namespace assay
