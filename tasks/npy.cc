#include "tasks/npy.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace assay {

std::string_view npy_descr(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return "<f8";
    case Dtype::f32:
    case Dtype::tf32:
      return "<f4";
    case Dtype::f16:
      return "<f2";
    case Dtype::bf16:
      return "<u2";
    case Dtype::e4m3:
    case Dtype::e5m2:
    case Dtype::u8:
      return "|u1";
    case Dtype::i64:
      return "<i8";
    case Dtype::i32:
      return "<i4";
    case Dtype::i16:
      return "<i2";
    case Dtype::i8:
      return "|i1";
    case Dtype::u32:
      return "<u4";
    case Dtype::boolean:
      return "|b1";
  }
  return "|u1";
}

std::string npy_header(Dtype dtype, const std::vector<uint64_t>& shape) {
  // A Python tuple: (), (3,), (3, 4).
  const std::string tuple =
      fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                       npy_descr(dtype), tuple);
  constexpr size_t kPrefix = 10;  // magic, version, length of the header
  const size_t unpadded = kPrefix + dictionary.size() + 1;
  dictionary.append((64 - unpadded % 64) % 64, ' ');
  dictionary += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dictionary.size() & 0xff);
  header += static_cast<char>(dictionary.size() >> 8);
  return header + dictionary;
}

Result<void> write_npy(const std::filesystem::path& path, Dtype dtype,
                       const std::vector<uint64_t>& shape, std::string_view bytes) {
  uint64_t expected = size_bytes(dtype);
  for (const uint64_t size : shape) expected *= size;
  if (bytes.size() != expected)
    return Error{ErrorKind::internal, fmt::format("{}: {} bytes of data for a tensor of {}",
                                                  path.string(), bytes.size(), expected)};
  // Tensors can be large: header and data are written one after the other, without a copy.
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "wbe"), &std::fclose);
  const std::string header = npy_header(dtype, shape);
  const bool written = file &&
                       std::fwrite(header.data(), 1, header.size(), file.get()) == header.size() &&
                       std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size() &&
                       std::fflush(file.get()) == 0;
  if (!written)
    return Error{ErrorKind::io,
                 fmt::format("cannot write {}: {}", path.string(), std::strerror(errno))};
  return {};
}

}  // namespace assay
