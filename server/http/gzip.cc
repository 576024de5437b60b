#include "server/http/gzip.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

namespace assay {

Result<std::string> gunzip(std::string_view bytes, size_t limit_bytes) {
  z_stream stream{};
  if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
    return Error{ErrorKind::internal, "zlib cannot start"};
  const std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string plain;
  int status = Z_OK;
  while (status == Z_OK) {
    const size_t filled = plain.size();
    if (filled > limit_bytes) break;
    plain.resize(filled + std::clamp<size_t>(filled, 16 << 10, 1 << 20));
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + filled);
    stream.avail_out = static_cast<uInt>(plain.size() - filled);
    status = inflate(&stream, Z_NO_FLUSH);
    plain.resize(plain.size() - stream.avail_out);
  }
  if (plain.size() > limit_bytes)
    return Error{ErrorKind::invalid,
                 fmt::format("the body is larger than {} bytes when decompressed", limit_bytes)};
  if (status != Z_STREAM_END) return Error{ErrorKind::invalid, "the body is not valid gzip"};
  return plain;
}

}  // namespace assay
