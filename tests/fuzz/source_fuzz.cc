// Fuzzes what reads a candidate's source and a model's answer: extraction of the code, the lexer,
// and the splitter that makes a device half and a host half of it.
#include <string_view>

#include "evaluator/compile/lexer.h"
#include "evaluator/compile/preludes.h"
#include "evaluator/compile/source_check.h"
#include "evaluator/compile/split.h"
#include "evaluator/extract.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const assay::Extraction taken = assay::extract_code(text);
  // Never rewritten: a part of the answer, where it says.
  if (text.substr(taken.offset, taken.code.size()) != taken.code) __builtin_trap();
  if (taken.code.empty() && taken.explanation.empty()) __builtin_trap();
  (void)assay::check_source(text);
  if (const auto tokens = assay::tokenize(text)) {
    uint32_t end = 0;
    for (const assay::Token& token : tokens->tokens) {
      if (token.begin < end || token.end <= token.begin || token.end > size) __builtin_trap();
      end = token.end;
    }
  }
  if (const auto split = assay::split_source(text)) (void)assay::make_preludes(split->includes);
  return 0;
}
