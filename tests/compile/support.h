// Common to the tests that run compilers.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/files.h"
#include "evaluator/compile/compiler.h"

namespace assay::testing {

/// The entry for `solve(const float* x, float* y, int n, cudaStream_t stream)`.
inline const std::string& plain_entry() {
  static const std::string text =
      "// expects: extern \"C\" void solve(const float* x, float* y, int n, cudaStream_t stream)\n"
      "extern \"C\" void assay_solve(void** arguments) {\n"
      "  solve(*static_cast<float**>(arguments[0]), *static_cast<float**>(arguments[1]),\n"
      "        *static_cast<int*>(arguments[2]), *static_cast<cudaStream_t*>(arguments[3]));\n"
      "}\n";
  return text;
}

inline CompileRequest request_for(std::string source) {
  CompileRequest request;
  request.source = std::move(source);
  request.entry = plain_entry();
  return request;
}

inline std::string source_file(const std::string& name) {
  auto text = read_file(std::string(ASSAY_SOURCE_DIR) + "/tests/compile/sources/" + name + ".cu");
  EXPECT_TRUE(text.ok());
  return text.ok() ? *text : std::string();
}

/// A compiler without the cache of results.
inline std::unique_ptr<Compiler> make_compiler(bool use_nvrtc) {
  CompilerOptions options;
  options.use_nvrtc = use_nvrtc;
  options.use_cache = false;
  auto compiler = Compiler::create(options);
  if (!compiler.ok()) throw std::runtime_error(compiler.error().message);
  return *std::move(compiler);
}

}  // namespace assay::testing
