#include "base/digest.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

namespace assay {

Digest::Digest() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr);
}

Digest::~Digest() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

Digest& Digest::add(std::string_view field) {
  const uint64_t length = field.size();
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), &length, sizeof length);
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), field.data(), field.size());
  return *this;
}

static std::string to_hex(const unsigned char* bytes, size_t count) {
  static const char* digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * count);
  for (size_t i = 0; i < count; ++i) {
    text.push_back(digits[bytes[i] >> 4]);
    text.push_back(digits[bytes[i] & 15]);
  }
  return text;
}

std::string Digest::hex() {
  std::array<unsigned char, 32> bytes{};
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), bytes.data(), nullptr);
  return to_hex(bytes.data(), bytes.size());
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return to_hex(digest.data(), digest.size());
}

std::string sha256(std::span<const std::byte> bytes) {
  return sha256(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace assay
