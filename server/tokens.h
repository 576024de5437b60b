// Bearer tokens: who may use the server.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay {

class Tokens {
 public:
  /// No tokens: everybody may, as the client "".
  Tokens() = default;
  /// A file of lines "NAME TOKEN"; empty lines and # comments aside. Only digests are kept.
  /// invalid: names the line; a token has at least 16 characters.
  static Result<Tokens> load(const std::filesystem::path& file);

  bool empty() const { return known_.empty(); }
  /// The name of the token in an Authorization header: "Bearer TOKEN", or "Basic" with any user and
  /// the token as the password, for clients that can only be given a URL. Takes the same time
  /// whichever token it is, or none.
  std::optional<std::string> client_of(const std::string& authorization) const;

 private:
  struct Known {
    std::string name;
    std::string digest;  // SHA-256 of the token
  };
  std::vector<Known> known_;
};

}  // namespace assay
