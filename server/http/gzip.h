// Request bodies with Content-Encoding: gzip.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace assay {

/// Decompresses. invalid: not gzip, cut off, or larger than the limit when decompressed.
Result<std::string> gunzip(std::string_view bytes, size_t limit_bytes);

}  // namespace assay
