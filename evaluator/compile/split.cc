#include "evaluator/compile/split.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "evaluator/compile/declaration.h"
#include "evaluator/compile/lexer.h"

namespace assay {
namespace {

/// Replacements in a text; the pieces must not overlap. Removed text leaves its line ends.
class Edits {
 public:
  explicit Edits(std::string_view text) : text_(text) {}

  void insert(size_t at, std::string what) {
    edits_.push_back({at, at, std::move(what), order_++});
  }
  void replace(size_t begin, size_t end, std::string what) {
    edits_.push_back({begin, end, std::move(what), order_++});
  }
  /// Cuts a range out, but for its line ends.
  void blank(size_t begin, size_t end) { replace(begin, end, lines(begin, end)); }

  std::string lines(size_t begin, size_t end) const {
    return std::string(
        static_cast<size_t>(std::count(text_.begin() + begin, text_.begin() + end, '\n')), '\n');
  }

  /// nullopt when two edits overlap.
  std::optional<std::string> apply() {
    std::sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.order < b.order;
    });
    std::string result;
    size_t position = 0;
    for (const Edit& edit : edits_) {
      if (edit.begin < position) return {};
      result += text_.substr(position, edit.begin - position);
      result += edit.text;
      position = edit.end;
    }
    return result + std::string(text_.substr(position));
  }

 private:
  struct Edit {
    size_t begin, end;
    std::string text;
    size_t order;
  };
  std::string_view text_;
  std::vector<Edit> edits_;
  size_t order_ = 0;
};

/// Words whose presence means that the two halves could differ from what nvcc sees.
const std::set<std::string_view>& refused_words() {
  static const std::set<std::string_view> words = {"__CUDACC__",
                                                   "__NVCC__",
                                                   "__CUDACC_RTC__",
                                                   "__has_include",
                                                   "__GNUC__",
                                                   "__COUNTER__",
                                                   "__managed__",
                                                   "__CUDA_ARCH_LIST__",
                                                   "__FILE__",
                                                   "__DATE__",
                                                   "__TIME__",
                                                   "_Pragma",
                                                   "__texture__",
                                                   "cudaMemcpyFromSymbol",
                                                   "cudaMemcpyFromSymbolAsync",
                                                   "cudaGetSymbolAddress",
                                                   "cudaGetSymbolSize",
                                                   "__BASE_FILE__",
                                                   "__TIMESTAMP__",
                                                   "__INCLUDE_LEVEL__",
                                                   "__nv_pure__",
                                                   "__host_pass",
                                                   "co_await",
                                                   "co_yield",
                                                   "co_return",
                                                   "module",
                                                   "import"};
  return words;
}

/// Specifiers and types of the constants that device code may share with the host.
const std::set<std::string_view>& constant_words() {
  static const std::set<std::string_view> words = {
      "static",  "inline",  "const",    "bool",    "char",     "short",    "int",
      "long",    "signed",  "unsigned", "float",   "double",   "size_t",   "int8_t",
      "int16_t", "int32_t", "int64_t",  "uint8_t", "uint16_t", "uint32_t", "uint64_t"};
  return words;
}

class Splitter {
 public:
  explicit Splitter(const TokenizedSource& source)
      : source_(source), device_(source.text), host_(source.text) {}

  std::optional<SplitSource> run() {
    if (!check_words() || !check_directives()) return {};
    size_t index = 0;
    if (!scope(index, 0) || index != source_.tokens.size()) return {};
    if (!rewrite_launches() || device_needs_standard_library()) return {};
    auto device = device_.apply();
    auto host = host_.apply();
    if (!device || !host) return {};
    result_.device = *std::move(device);
    result_.host = *std::move(host);
    return std::move(result_);
  }

 private:
  size_t begin_of(size_t token) const { return source_.tokens[token].begin; }
  size_t end_of(size_t token) const { return source_.tokens[token].end; }

  bool check_words() const {
    for (size_t i = 0; i < source_.tokens.size(); ++i)
      if (source_.is_word(i) &&
          (refused_words().contains(source_.at(i)) ||
           (i > 0 && source_.at(i - 1) == "]" && source_.at(i).starts_with("__"))))
        return false;  // the latter is a lambda with an execution space
    return true;
  }

  bool check_directives() {
    int depth = 0;
    for (size_t i = 0; i < source_.tokens.size(); ++i) {
      if (!source_.is_directive(i)) continue;
      const Directive directive = read_directive(source_.at(i));
      for (const std::string_view word : refused_words())
        if (directive.text.find(word) != std::string_view::npos) return false;
      if (directive.name == "include") {
        if (depth != 0 || directive.argument.empty()) return false;
        result_.includes.emplace_back(directive.argument);
        device_.blank(begin_of(i), end_of(i));
        host_.blank(begin_of(i), end_of(i));
      } else if (directive.name == "define") {
        if (!harmless_macro(directive.text)) return false;
      } else if (directive.name.starts_with("if")) {
        ++depth;
      } else if (directive.name == "endif") {
        --depth;
      } else if (directive.name != "else" && directive.name != "elif" &&
                 directive.name != "undef" && directive.name != "pragma" &&
                 !directive.name.empty()) {
        return false;
      }
    }
    return depth == 0;
  }

  /// The declarations of a namespace, up to its closing brace (consumed) or the end.
  bool scope(size_t& index, int depth) {
    if (depth > 64) return false;
    while (index < source_.tokens.size()) {
      const std::string_view token = source_.at(index);
      if (source_.is_directive(index) || token == ";") {
        ++index;
      } else if (token == "}") {
        if (depth == 0) return false;
        ++index;
        return true;
      } else if (const auto block = opens_block(source_, index)) {
        index = *block + 1;
        if (!scope(index, depth + 1)) return false;
      } else if (!declaration(index)) {
        return false;
      }
    }
    return depth == 0;
  }

  bool declaration(size_t& index) {
    auto parsed = parse_declaration(source_, index);
    if (!parsed) return false;
    const Declaration& item = *parsed;
    index = item.end;
    switch (item.kind) {
      case Declaration::Kind::other:
        return true;
      case Declaration::Kind::type:
        return class_body(item);
      case Declaration::Kind::variable:
        return variable(item);
      case Declaration::Kind::function:
        return function(item);
    }
    return false;
  }

  bool function(const Declaration& item) {
    if (item.has_global) return kernel(item);
    if (item.has_device && item.has_host) return true;
    if (item.has_device) {
      cut(host_, item.begin, item.end);
    } else if (item.is_constexpr) {
      device_.insert(begin_of(item.specifiers), "__host__ __device__ ");
    } else {
      cut(device_, item.begin, item.end);
    }
    return true;
  }

  void cut(Edits& edits, size_t first, size_t end) {
    edits.blank(begin_of(first), end_of(end - 1));
    (&edits == &host_ ? host_cuts_ : device_cuts_).push_back({first, end});
    // Includes inside were blanked on their own for the device.
  }

  bool kernel(const Declaration& item) {
    if (item.is_template) result_.has_kernel_templates = true;
    if (item.body == 0) return true;
    const auto stub = kernel_stub(source_, item);
    if (!stub) return false;
    const size_t begin = begin_of(item.body);
    const size_t end = end_of(item.end - 1);
    host_.replace(begin, end, *stub + host_.lines(begin, end));
    host_cuts_.push_back({item.body, item.end});
    return true;
  }

  bool has_pointer(const Declaration& item) const {
    for (size_t i = item.begin; i < item.end; ++i)
      if (source_.at(i) == "*") return true;
    return false;
  }

  /// Device code may use the value of a host constant of built-in type. NVRTC would also let it use
  /// arrays and objects, which nvcc refuses: constant ones leave the device half, and constexpr
  /// arrays, of which nvcc allows some uses, are for nvcc.
  bool host_variable(const Declaration& item) {
    bool array = false;
    bool built_in = true;
    for (size_t i = item.specifiers; i < item.end && source_.at(i) != "="; ++i) {
      array |= source_.at(i) == "[";
      const bool name = std::find(item.names.begin(), item.names.end(), i) != item.names.end();
      built_in &= name || !source_.is_word(i) || constant_words().contains(source_.at(i));
      built_in &= source_.at(i) != "*" && source_.at(i) != "&" && source_.at(i) != "<";
    }
    if (item.is_constexpr) return !array;
    if (!item.is_const || array || !built_in) cut(device_, item.begin, item.end);
    return true;
  }

  bool variable(const Declaration& item) {
    const bool on_device = item.has_device || item.has_constant;
    if (item.has_shared) return false;
    if (!on_device) return host_variable(item);
    if (item.is_template || item.is_extern || item.names.empty()) return false;
    if (item.is_const || item.is_constexpr) return !has_pointer(item);
    std::string registration;
    for (const size_t name : item.names)
      registration += fmt::format(" ASSAY_REGISTER_VARIABLE({}, {}, {})", source_.at(name),
                                  begin_of(name), item.has_constant ? 1 : 0);
    host_.insert(end_of(item.end - 1), std::move(registration));
    return true;
  }

  /// Bodies of __device__ members leave the host half; constexpr members get both spaces.
  bool class_body(const Declaration& item) {
    if (item.body == 0) return true;
    size_t index = item.body + 1;
    const size_t end = item.body_end - 1;
    while (index < end) {
      const std::string_view token = source_.at(index);
      if (source_.is_directive(index)) return false;
      if (token == ";") {
        ++index;
      } else if ((token == "public" || token == "private" || token == "protected") &&
                 source_.at(index + 1) == ":") {
        index += 2;
      } else {
        const auto member = parse_declaration(source_, index);
        if (!member || member->end > end || member->has_global) return false;
        index = member->end;
        if (member->kind == Declaration::Kind::type && !class_body(*member)) return false;
        if (member->kind == Declaration::Kind::function) member_function(*member);
      }
    }
    return true;
  }

  void member_function(const Declaration& item) {
    if (item.has_device && !item.has_host && item.body != 0) {
      const size_t first = item.initializers != 0 ? item.initializers : item.body;
      host_.replace(begin_of(first), end_of(item.end - 1),
                    ";" + host_.lines(begin_of(first), end_of(item.end - 1)));
      host_cuts_.push_back({first, item.end});
    } else if (!item.has_device && item.is_constexpr) {
      device_.insert(begin_of(item.specifiers), "__host__ __device__ ");
    }
  }

  /// NVRTC has no std; `using namespace std` alone does no harm.
  bool device_needs_standard_library() const {
    for (size_t i = 0; i + 1 < source_.tokens.size(); ++i)
      if (source_.at(i) == "std" && source_.at(i + 1) == "::" && !inside(device_cuts_, i) &&
          (i < 2 || source_.at(i - 2) != "cuda"))
        return true;
    return false;
  }

  static bool inside(const std::vector<std::array<size_t, 2>>& ranges, size_t token) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const auto& range) { return token >= range[0] && token < range[1]; });
  }

  bool rewrite_launches() {
    for (size_t i = 0; i < source_.tokens.size(); ++i) {
      if (!source_.triple(i, '<') || (i > 0 && source_.at(i - 1) == "operator")) continue;
      if (!inside(device_cuts_, i)) return false;  // a launch from device code
      if (inside(host_cuts_, i)) return false;
      const auto launch = parse_launch(source_, i);
      if (!launch) return false;
      const size_t open = begin_of(i);
      const size_t close = end_of(launch->close);
      const std::string_view configuration = source_.text.substr(open + 3, close - 3 - (open + 3));
      if (source_.at(i - 1) == ">")
        result_.launched_templates.push_back(written(launch->callee, i));
      host_.insert(begin_of(launch->callee),
                   fmt::format("(::__cudaPushCallConfiguration({})?(void)0: ", configuration));
      host_.replace(open, close, "");
      host_.insert(end_of(launch->arguments_close), ")");
      i = launch->close;
    }
    return true;
  }

  /// The tokens [first, end) on one line.
  std::string written(size_t first, size_t end) const {
    std::string text;
    for (size_t i = first; i < end; ++i)
      text += (text.empty() ? "" : " ") + std::string(source_.at(i));
    return text;
  }

  const TokenizedSource& source_;
  Edits device_;
  Edits host_;
  std::vector<std::array<size_t, 2>> device_cuts_;  // token ranges absent from the half
  std::vector<std::array<size_t, 2>> host_cuts_;
  SplitSource result_;
};

}  // namespace

std::optional<SplitSource> split_source(std::string_view source) {
  const auto tokens = tokenize(source);
  if (!tokens) return {};
  return Splitter(*tokens).run();
}

}  // namespace assay
