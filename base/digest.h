// SHA-256 digests: the names under which compiled artifacts, blobs and plans are stored.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace assay {

/// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);
std::string sha256(std::span<const std::byte> bytes);

/// SHA-256 over several fields, each preceded by its length, so that ("ab","c") != ("a","bc").
class Digest {
 public:
  Digest();
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  Digest& add(std::string_view field);
  /// Finishes; the object must not be used afterwards.
  std::string hex();

 private:
  void* context_;
};

}  // namespace assay
