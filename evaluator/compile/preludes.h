// The headers of a split source: what each half starts with, and which of it is precompiled.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace assay {

/// Text that stands before a half. `precompiled` depends on the set of headers alone and comes
/// first; `rest` is compiled every time.
struct Prelude {
  std::string precompiled;
  std::string rest;
};

struct Preludes {
  Prelude device;
  Prelude host;
};

/// nullopt when an include is not among the headers whose meaning in both halves is known.
std::optional<Preludes> make_preludes(const std::vector<std::string>& includes);

}  // namespace assay
