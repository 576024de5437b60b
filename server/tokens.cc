#include "server/tokens.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <sstream>

#include "base/digest.h"
#include "base/files.h"

namespace assay {

namespace {

constexpr size_t kShortestToken = 16;
constexpr size_t kLongestHeader = 4096;

/// The password of "user:password" in base64; empty where there is none.
std::string basic_password(const std::string& encoded) {
  std::string plain(encoded.size() + 1, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(plain.data()),
                                   reinterpret_cast<const unsigned char*>(encoded.data()),
                                   static_cast<int>(encoded.size()));
  if (size < 0) return "";
  plain.resize(static_cast<size_t>(size));
  while (!plain.empty() && plain.back() == '\0') plain.pop_back();  // padding decodes to zeros
  const size_t colon = plain.find(':');
  return colon == std::string::npos ? "" : plain.substr(colon + 1);
}

}  // namespace

Result<Tokens> Tokens::load(const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const std::string text, read_file(file, 1 << 20));
  Tokens tokens;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name, token, more;
    words >> name >> token >> more;
    if (name.empty() || name.starts_with('#')) continue;
    if (token.empty() || !more.empty())
      return Error{ErrorKind::invalid,
                   fmt::format("{}:{}: must be NAME TOKEN", file.string(), number)};
    if (token.size() < kShortestToken)
      return Error{ErrorKind::invalid,
                   fmt::format("{}:{}: the token of {} is shorter than {} characters; for example "
                               "openssl rand -hex 24 makes one",
                               file.string(), number, name, kShortestToken)};
    tokens.known_.push_back({name, sha256(token)});
  }
  if (tokens.known_.empty())
    return Error{ErrorKind::invalid, file.string() + " holds no token; a line is NAME TOKEN"};
  return tokens;
}

std::optional<std::string> Tokens::client_of(const std::string& authorization) const {
  if (known_.empty()) return "";
  if (authorization.size() > kLongestHeader) return std::nullopt;
  std::string token;
  if (authorization.starts_with("Bearer "))
    token = authorization.substr(7);
  else if (authorization.starts_with("Basic "))
    token = basic_password(authorization.substr(6));
  // Digests are compared, all of them, each in constant time.
  const std::string digest = sha256(token);
  const Known* found = nullptr;
  for (const Known& known : known_)
    if (CRYPTO_memcmp(known.digest.data(), digest.data(), digest.size()) == 0) found = &known;
  if (!found) return std::nullopt;
  return found->name;
}

}  // namespace assay
