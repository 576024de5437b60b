#include "evaluator/skeleton.h"

#include <fmt/format.h>

#include <set>
#include <sstream>

#include "evaluator/compile/entry.h"
#include "evaluator/signature.h"

namespace assay {

namespace {

std::string opening(const Task& task, Language language) {
  std::string text = fmt::format("{}: {}\n\n", task.id, task.title);
  for (const TensorSpec& tensor : task.tensors) text += "  " + describe(tensor, language) + "\n";
  for (const ScalarSpec& scalar : task.scalars) text += "  " + describe(scalar, language) + "\n";
  text += fmt::format("\nThe whole statement: assay tasks show {}\n", task.id);
  return text;
}

std::string comment(const std::string& text, const std::string& mark) {
  std::istringstream lines(text);
  std::string made, line;
  while (std::getline(lines, line)) made += mark + (line.empty() ? "" : " ") + line + "\n";
  return made;
}

std::string cuda_skeleton(const Task& task) {
  std::set<std::string_view> headers;
  for (const TensorSpec& tensor : task.tensors) headers.insert(header_of(tensor.dtype));
  for (const ScalarSpec& scalar : task.scalars) headers.insert(header_of(scalar.dtype));
  std::string text = comment(opening(task, Language::cuda), "//");
  for (const std::string_view header : headers)
    if (!header.empty()) text += fmt::format("#include <{}>\n", header);
  const std::string signature = task.signature();
  const size_t parameters = signature.find('(') + 1;
  const size_t stream = signature.rfind(", cudaStream_t");
  return text + fmt::format(
                    "\n__global__ void solve_kernel({}) {{\n"
                    "  // Elements of outputs that no kernel writes are wrong.\n"
                    "}}\n\n{} {{\n  solve_kernel<<<1, 256, 0, stream>>>({});\n}}\n",
                    signature.substr(parameters, stream - parameters), signature,
                    argument_names(task, Language::cuda));
}

std::string triton_skeleton(const Task& task) {
  const std::string names = argument_names(task, Language::triton);
  return comment(opening(task, Language::triton), "#") +
         fmt::format(
             "import triton\n"
             "import triton.language as tl\n\n\n"
             "@triton.jit\n"
             "def solve_kernel({0}):\n"
             "    pass  # elements of outputs that no kernel writes are wrong\n\n\n"
             "{1}\n"
             "    solve_kernel[(1,)]({0})\n",
             names, signature(task, Language::triton));
}

}  // namespace

std::string skeleton(const Task& task, Language language) {
  return language == Language::cuda ? cuda_skeleton(task) : triton_skeleton(task);
}

}  // namespace assay
