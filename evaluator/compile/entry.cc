#include "evaluator/compile/entry.h"

#include <fmt/format.h>

#include <set>

#include "evaluator/compile/entry_check.h"

namespace assay {
namespace {

/// Another spelling of the same representation, which the entry accepts behind a pointer:
/// std::int64_t is long where the task says long long, and plain char is as good as signed char.
std::string_view alias_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::i64:
      return "long";
    case Dtype::i8:
      return "char";
    default:
      return {};
  }
}

std::string tensor_argument(const TensorSpec& tensor, size_t index) {
  const std::string_view type = cuda_type(tensor.dtype);
  const std::string_view alias = alias_of(tensor.dtype);
  if (alias.empty()) return fmt::format("*static_cast<{}**>(arguments[{}])", type, index);
  return fmt::format("assay_pointer<{}, {}>{{arguments[{}]}}", type, alias, index);
}

// One pointer that converts to pointers to either of two types of the same representation.
constexpr const char* kPointerTemplate =
    "template <typename A, typename B> struct assay_pointer {\n"
    "  void* place;\n"
    "  operator A*() const { return *static_cast<A**>(place); }\n"
    "  operator B*() const { return *static_cast<B**>(place); }\n"
    "  operator const A*() const { return *static_cast<A**>(place); }\n"
    "  operator const B*() const { return *static_cast<B**>(place); }\n"
    "};\n";

}  // namespace

std::string_view header_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::f16:
      return "cuda_fp16.h";
    case Dtype::bf16:
      return "cuda_bf16.h";
    case Dtype::e4m3:
    case Dtype::e5m2:
      return "cuda_fp8.h";
    default:
      return {};
  }
}

std::string entry_source(const Task& task) {
  std::set<std::string_view> headers;
  std::string call;
  size_t index = 0;
  bool aliased = false;
  for (const TensorSpec& tensor : task.tensors) {
    headers.insert(header_of(tensor.dtype));
    aliased |= !alias_of(tensor.dtype).empty();
    call += fmt::format("      {},\n", tensor_argument(tensor, index++));
  }
  for (const ScalarSpec& scalar : task.scalars) {
    headers.insert(header_of(scalar.dtype));
    call +=
        fmt::format("      *static_cast<{}*>(arguments[{}]),\n", cuda_type(scalar.dtype), index++);
  }
  std::string text = kExpects + task.signature() + "\n";
  for (const std::string_view header : headers)
    if (!header.empty()) text += fmt::format("#include <{}>\n", header);
  if (aliased) text += kPointerTemplate;
  text += fmt::format(
      "extern \"C\" void assay_solve(void** arguments) {{\n"
      "  solve(\n{}      *static_cast<cudaStream_t*>(arguments[{}]));\n}}\n",
      call, index);
  return text;
}

}  // namespace assay
