// How commands report errors.
#pragma once

#include <fmt/format.h>

#include <cstdio>

#include "base/result.h"
#include "cli/commands.h"

namespace assay {

/// Prints "assay: <message>" to standard error and returns the exit status for it.
inline int report(const Error& error) {
  fmt::print(stderr, "assay: {}\n", error.message);
  const bool users = error.kind == ErrorKind::usage || error.kind == ErrorKind::not_found ||
                     error.kind == ErrorKind::invalid;
  return users ? kUsage : kHarnessError;
}

}  // namespace assay
