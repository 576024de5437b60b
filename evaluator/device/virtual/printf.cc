#include "evaluator/device/virtual/printf.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstdio>
#include <cstring>

namespace assay::virtual_gpu {
namespace {

// A conversion is parsed here and checked to be one of a closed set; only then does the host's
// snprintf see a format, rebuilt from the parsed parts with the type that was read from the buffer.
// Width and precision are limited, so one conversion cannot ask for more than a few hundred bytes.

constexpr int kMaximumWidth = 1024;

struct Conversion {
  size_t length = 0;  // characters of the format, from '%' on
  std::string flags;
  bool has_precision = false;
  bool star_width = false, star_precision = false;
  int width = 0, precision = 0;
  int value_bytes = 4;  // by the length modifier, for integers
  char modifier = 0;    // 'h', 'H' (hh) or 0: narrower than int
  char letter = 0;      // 0: malformed
};

/// The digits at `at`, limited; moves on.
int parse_number(std::string_view text, size_t& at) {
  int value = 0;
  for (; at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0; ++at) {
    value = std::min(kMaximumWidth, value * 10 + (text[at] - '0'));
  }
  return value;
}

void parse_length(std::string_view text, size_t& at, Conversion& conversion) {
  const auto next_is = [&](char c) { return at < text.size() && text[at] == c; };
  if (next_is('h')) {
    conversion.modifier = 'h';
    if (++at; next_is('h')) {
      conversion.modifier = 'H';
      ++at;
    }
  } else if (next_is('l') || next_is('z') || next_is('j') || next_is('t')) {
    conversion.value_bytes = 8;
    const bool may_repeat = next_is('l');
    if (++at; may_repeat && next_is('l')) ++at;
  } else if (next_is('L')) {
    ++at;
  }
}

/// `text` begins with '%'.
Conversion parse_conversion(std::string_view text) {
  Conversion conversion;
  size_t at = 1;
  for (; at < text.size() && std::strchr("-+ #0", text[at]) != nullptr && text[at] != 0; ++at) {
    if (conversion.flags.find(text[at]) == std::string::npos) conversion.flags += text[at];
  }
  if (at < text.size() && text[at] == '*') {
    conversion.star_width = true;
    ++at;
  } else {
    conversion.width = parse_number(text, at);
  }
  if (at < text.size() && text[at] == '.') {
    conversion.has_precision = true;
    ++at;
    if (at < text.size() && text[at] == '*') {
      conversion.star_precision = true;
      ++at;
    } else {
      conversion.precision = parse_number(text, at);
    }
  }
  parse_length(text, at, conversion);
  if (at < text.size() && text[at] != 0 &&
      std::strchr("diouxXcspfFeEgGaAn%", text[at]) != nullptr) {
    conversion.letter = text[at];
    ++at;
  }
  conversion.length = std::min(at, text.size());
  return conversion;
}

bool is_floating(char letter) { return std::strchr("fFeEgGaA", letter) != nullptr; }

/// Bytes of the conversion's own value in the argument buffer.
int value_bytes(const Conversion& conversion) {
  if (conversion.letter == '%') return 0;
  if (is_floating(conversion.letter) || std::strchr("spn", conversion.letter) != nullptr) return 8;
  return conversion.letter == 'c' ? 4 : conversion.value_bytes;
}

/// The values of the argument buffer, each aligned to its size.
class ArgumentReader {
 public:
  explicit ArgumentReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::optional<uint64_t> next(int size) {
    const auto length = static_cast<size_t>(size);
    const size_t start = (at_ + length - 1) / length * length;
    if (start > bytes_.size() || bytes_.size() - start < length) return std::nullopt;
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + start, length);
    at_ = start + length;
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t at_ = 0;
};

template <typename... Values>
std::string host_format(const std::string& format, Values... values) {
  // Two numbers of kMaximumWidth and the largest double's 309 digits fit.
  char text[4096];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const int length = std::snprintf(text, sizeof text, format.c_str(), values...);
#pragma GCC diagnostic pop
  if (length < 0) return {};
  return {text, std::min(static_cast<size_t>(length), sizeof text - 1)};
}

std::string padded(std::string text, const Conversion& conversion) {
  const auto width = static_cast<size_t>(conversion.width);
  if (text.size() >= width) return text;
  const bool left = conversion.flags.find('-') != std::string::npos;
  text.insert(left ? text.size() : 0, width - text.size(), ' ');
  return text;
}

std::string host_specification(const Conversion& conversion, const char* length) {
  std::string format = "%" + conversion.flags;
  if (conversion.width > 0) format += std::to_string(conversion.width);
  if (conversion.has_precision) format += "." + std::to_string(conversion.precision);
  return format + length + conversion.letter;
}

int64_t narrowed(int64_t value, const Conversion& conversion) {
  if (conversion.modifier == 'h') return static_cast<int16_t>(value);
  if (conversion.modifier == 'H') return static_cast<int8_t>(value);
  return conversion.value_bytes == 4 ? static_cast<int32_t>(value) : value;
}

uint64_t narrowed_unsigned(uint64_t value, const Conversion& conversion) {
  if (conversion.modifier == 'h') return static_cast<uint16_t>(value);
  if (conversion.modifier == 'H') return static_cast<uint8_t>(value);
  return conversion.value_bytes == 4 ? static_cast<uint32_t>(value) : value;
}

std::string formatted_string(uint64_t address, const Conversion& conversion,
                             const StringReader& read_string, size_t limit) {
  if (address == 0) return padded("(null)", conversion);
  if (conversion.has_precision) limit = std::min(limit, static_cast<size_t>(conversion.precision));
  std::optional<std::string> text = read_string ? read_string(address, limit) : std::nullopt;
  if (!text) return padded("(unreadable)", conversion);
  text->resize(std::min(text->size(), limit));
  return padded(std::move(*text), conversion);
}

std::string formatted(uint64_t value, const Conversion& conversion, const StringReader& read_string,
                      size_t limit) {
  switch (conversion.letter) {
    case 'd':
    case 'i':
      return host_format(host_specification(conversion, "ll"),
                         static_cast<long long>(narrowed(static_cast<int64_t>(value), conversion)));
    case 'o':
    case 'u':
    case 'x':
    case 'X':
      return host_format(host_specification(conversion, "ll"),
                         static_cast<unsigned long long>(narrowed_unsigned(value, conversion)));
    case 'c':
      return padded(std::string(1, static_cast<char>(value)), conversion);
    case 's':
      return formatted_string(value, conversion, read_string, limit);
    case 'p':
      return padded(host_format("0x%llx", static_cast<unsigned long long>(value)), conversion);
    case 'n':
      return {};
    default:
      return host_format(host_specification(conversion, ""), std::bit_cast<double>(value));
  }
}

/// Replaces '*' by the arguments; false if the buffer has no more.
bool read_stars(Conversion& conversion, ArgumentReader& arguments) {
  const auto star = [&]() -> std::optional<int> {
    const std::optional<uint64_t> bits = arguments.next(4);
    if (!bits) return std::nullopt;
    const auto value = static_cast<int32_t>(static_cast<uint32_t>(*bits));
    return std::clamp(value, -kMaximumWidth, kMaximumWidth);
  };
  if (conversion.star_width) {
    const std::optional<int> width = star();
    if (!width) return false;
    if (*width < 0 && conversion.flags.find('-') == std::string::npos) conversion.flags += '-';
    conversion.width = std::abs(*width);
  }
  if (conversion.star_precision) {
    const std::optional<int> precision = star();
    if (!precision) return false;
    conversion.has_precision = *precision >= 0;
    conversion.precision = std::max(0, *precision);
  }
  return true;
}

}  // namespace

std::string format_printf(std::string_view format, std::span<const std::byte> arguments,
                          const StringReader& read_string, size_t limit) {
  std::string text;
  ArgumentReader reader(arguments);
  for (size_t at = 0; at < format.size() && text.size() < limit;) {
    if (format[at] != '%') {
      const size_t next = std::min(format.find('%', at), format.size());
      text.append(format.substr(at, next - at));
      at = next;
      continue;
    }
    Conversion conversion = parse_conversion(format.substr(at));
    const std::string_view as_written = format.substr(at, conversion.length);
    at += conversion.length;
    if (conversion.letter == '%') {
      text += '%';
      continue;
    }
    std::optional<uint64_t> value;
    if (conversion.letter != 0 && read_stars(conversion, reader)) {
      value = reader.next(value_bytes(conversion));
    }
    if (value) {
      text += formatted(*value, conversion, read_string, limit - text.size());
    } else {
      text.append(as_written);
    }
  }
  text.resize(std::min(text.size(), limit));
  return text;
}

size_t printf_argument_bytes(std::string_view format) {
  size_t bytes = 0;
  const auto add = [&bytes](size_t size) { bytes = (bytes + size - 1) / size * size + size; };
  for (size_t at = format.find('%'); at != std::string_view::npos; at = format.find('%', at)) {
    const Conversion conversion = parse_conversion(format.substr(at));
    at += conversion.length;
    if (conversion.letter == 0 || conversion.letter == '%') continue;
    if (conversion.star_width) add(4);
    if (conversion.star_precision) add(4);
    add(static_cast<size_t>(value_bytes(conversion)));
  }
  return bytes;
}

}  // namespace assay::virtual_gpu
