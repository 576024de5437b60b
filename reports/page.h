// A run as one self-contained HTML page.
#pragma once

#include <string>

#include "base/result.h"
#include "reports/store.h"

namespace assay {

/// The page: a table of all evaluations, and for each its cases, explanation and code. Everything
/// that came from candidates is escaped.
Result<std::string> html_page(const Store& store, const std::string& title);

/// Escapes the five characters that mean something in HTML; invalid UTF-8 becomes U+FFFD.
std::string html_escape(std::string_view text);

}  // namespace assay
