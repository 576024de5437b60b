// Device printf: the format of a vprintf call and the bytes of its argument buffer to text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace assay::virtual_gpu {

/// Reads the zero-terminated string at a device address, at most `limit` bytes (a longer one is
/// cut); nothing if the address is not readable.
using StringReader = std::function<std::optional<std::string>(uint64_t address, size_t limit)>;

/// The text of one printf. `arguments` is the buffer that vprintf's second operand points at (as
/// much of it as is readable): values in order, each aligned to its size (4 or 8 bytes; float
/// arrives as double). A conversion that is malformed or has no bytes left prints as it is written.
/// %n prints nothing and consumes its argument. The result has at most `limit` bytes.
std::string format_printf(std::string_view format, std::span<const std::byte> arguments,
                          const StringReader& read_string, size_t limit = 4096);

/// Bytes of argument buffer that `format` needs at most; what to read from local memory.
size_t printf_argument_bytes(std::string_view format);

}  // namespace assay::virtual_gpu
