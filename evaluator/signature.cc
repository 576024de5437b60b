#include "evaluator/signature.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

namespace assay {

namespace {

/// torch's name of an element type, as python/assay_triton/dtypes.py has it.
std::string_view torch_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return "torch.float64";
    case Dtype::f32:
    case Dtype::tf32:
      return "torch.float32";
    case Dtype::f16:
      return "torch.float16";
    case Dtype::bf16:
      return "torch.bfloat16";
    case Dtype::e4m3:
      return "torch.float8_e4m3fn";
    case Dtype::e5m2:
      return "torch.float8_e5m2";
    case Dtype::i64:
      return "torch.int64";
    case Dtype::i32:
      return "torch.int32";
    case Dtype::i16:
      return "torch.int16";
    case Dtype::i8:
      return "torch.int8";
    case Dtype::u32:
      return "torch.uint32";
    case Dtype::u8:
      return "torch.uint8";
    case Dtype::boolean:
      return "torch.bool";
  }
  return "";
}

/// Words that C++ takes for a name and Python does not.
constexpr std::string_view kPythonWords[] = {
    "False", "None",   "True",     "as",      "assert", "async",  "await",  "def",
    "del",   "elif",   "except",   "finally", "from",   "global", "import", "in",
    "is",    "lambda", "nonlocal", "pass",    "raise",  "with",   "yield"};

std::string argument_name(const std::string& name, Language language) {
  const bool taken = language == Language::triton &&
                     std::ranges::find(kPythonWords, name) != std::end(kPythonWords);
  return taken ? name + "_" : name;
}

const char* direction_text(Direction direction) {
  if (direction == Direction::in) return "in";
  return direction == Direction::out ? "out" : "in and out";
}

std::string with_description(std::string text, const std::string& description) {
  return description.empty() ? text : text + ", " + description;
}

}  // namespace

std::string argument_names(const Task& task, Language language) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : task.tensors)
    names.push_back(argument_name(tensor.name, language));
  for (const ScalarSpec& scalar : task.scalars)
    names.push_back(argument_name(scalar.name, language));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string signature(const Task& task, Language language) {
  if (language == Language::cuda) return task.signature();
  return fmt::format("def solve({}):", argument_names(task, language));
}

std::string statement(const Task& task, Language language) {
  std::string text = task.statement;
  if (language == Language::cuda) return text;
  const std::string written = fmt::format("```cuda\n{};\n```", task.signature());
  const size_t at = text.find(written);
  if (at == std::string::npos) return text;
  return text.replace(at, written.size(),
                      fmt::format("```python\n{}\n```", signature(task, language)));
}

std::string_view dtype_name(Dtype dtype, Language language) {
  return language == Language::triton ? torch_name(dtype) : name(dtype);
}

std::string describe(const TensorSpec& tensor, Language language) {
  return with_description(
      fmt::format("{} ({}): {}[{}]", argument_name(tensor.name, language),
                  direction_text(tensor.direction), dtype_name(tensor.dtype, language),
                  fmt::join(tensor.shape, ", ")),
      tensor.description);
}

std::string describe(const ScalarSpec& scalar, Language language) {
  const std::string_view type = language == Language::cuda  ? name(scalar.dtype)
                                : is_floating(scalar.dtype) ? "float"
                                                            : "int";
  return with_description(fmt::format("{}: {}", argument_name(scalar.name, language), type),
                          scalar.description);
}

}  // namespace assay
