#include "evaluator/compile/ptx_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <map>
#include <set>

#include "base/demangle.h"

namespace assay {
namespace {

constexpr size_t kMaximumKernels = 4096;
constexpr size_t kMaximumVariables = 65536;
constexpr size_t kMaximumParameters = 4096;
constexpr uint64_t kMaximumBytes = uint64_t{1} << 40;

const std::map<std::string_view, uint32_t>& type_sizes() {
  static const std::map<std::string_view, uint32_t> sizes = {
      {".b8", 1},         {".u8", 1},     {".s8", 1},  {".pred", 1}, {".e4m3", 1},  {".e5m2", 1},
      {".b16", 2},        {".u16", 2},    {".s16", 2}, {".f16", 2},  {".bf16", 2},  {".b32", 4},
      {".u32", 4},        {".s32", 4},    {".f32", 4}, {".tf32", 4}, {".f16x2", 4}, {".bf16x2", 4},
      {".b64", 8},        {".u64", 8},    {".s64", 8}, {".f64", 8},  {".b128", 16}, {".texref", 8},
      {".samplerref", 8}, {".surfref", 8}};
  return sizes;
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%' ||
         c == '.';
}

/// Words (a directive starts with a dot), and single characters of punctuation. Strings are one
/// token each. Comments and white space are skipped.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::string_view next() {
    skip_blank();
    if (position_ >= text_.size()) return {};
    const size_t begin = position_;
    if (text_[position_] == '"') {
      const size_t end = text_.find('"', position_ + 1);
      position_ = end == std::string_view::npos ? text_.size() : end + 1;
    } else if (is_word(text_[position_])) {
      while (position_ < text_.size() && is_word(text_[position_])) ++position_;
    } else {
      ++position_;
    }
    return text_.substr(begin, position_ - begin);
  }

  std::string_view peek() {
    const size_t saved = position_;
    const std::string_view token = next();
    position_ = saved;
    return token;
  }

  /// Goes behind the brace that closes the one just read.
  void skip_body() {
    int depth = 1;
    while (position_ < text_.size() && depth > 0) {
      const char c = text_[position_];
      if (c == '"' || c == '/') {
        const size_t before = position_;
        if (c == '/') skip_blank();
        if (position_ == before) next();
        continue;
      }
      if (c == '{') ++depth;
      if (c == '}') --depth;
      ++position_;
    }
  }

  long line() const { return 1 + std::count(text_.begin(), text_.begin() + position_, '\n'); }

 private:
  void skip_blank() {
    while (position_ < text_.size()) {
      if (std::isspace(static_cast<unsigned char>(text_[position_]))) {
        ++position_;
      } else if (text_.substr(position_, 2) == "//") {
        position_ = std::min(text_.find('\n', position_), text_.size());
      } else if (text_.substr(position_, 2) == "/*") {
        const size_t end = text_.find("*/", position_ + 2);
        position_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  size_t position_ = 0;
};

std::optional<uint64_t> number(std::string_view token) {
  int base = 10;
  if (token.starts_with("0x") || token.starts_with("0X")) {
    token.remove_prefix(2);
    base = 16;
  }
  if (token.ends_with('U')) token.remove_suffix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value, base);
  if (error != std::errc{} || end != token.data() + token.size() || token.empty()) return {};
  return value;
}

/// A declarator: `.param .align 8 .b8 name[24]`, `.global .v4 .f32 x[2][4] = ...`.
struct Declaration {
  std::string name;
  uint64_t bytes = 0;
  uint32_t alignment = 1;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : scan_(text) {}

  Result<PtxHeader> parse() {
    bool external = false;
    for (std::string_view token = scan_.next(); !token.empty(); token = scan_.next()) {
      if (token == ".target") {
        header_.target = std::string(scan_.next());
      } else if (token == ".extern") {
        external = true;
        continue;
      } else if (token == ".visible" || token == ".weak" || token == ".common") {
        continue;
      } else if (token == ".entry") {
        RETURN_IF_ERROR(parse_entry());
      } else if (token == ".func") {
        skip_function();
      } else if (token == ".global" || token == ".const") {
        RETURN_IF_ERROR(parse_variable(token == ".const", external));
      } else if (token == ".shared") {
        ASSIGN_OR_RETURN(Declaration declaration, parse_declaration());
        if (!external) shared_.insert_or_assign(declaration.name, declaration);
      } else if (token == "{") {
        scan_.skip_body();
      }
      external = false;
    }
    return std::move(header_);
  }

 private:
  Error unexpected(std::string_view what) const {
    return {ErrorKind::invalid,
            fmt::format("PTX line {}: cannot read {}", scan_.line(), what.substr(0, 80))};
  }

  Result<Declaration> parse_declaration() {
    Declaration declaration;
    uint64_t element = 0;
    uint64_t vector = 1;
    for (;;) {
      const std::string_view token = scan_.next();
      if (token == ".align") {
        const auto value = number(scan_.next());
        if (!value || *value == 0 || *value > 4096) return unexpected("an alignment");
        declaration.alignment = static_cast<uint32_t>(*value);
      } else if (token == ".v2" || token == ".v4" || token == ".v8") {
        vector = static_cast<uint64_t>(token[2] - '0');
      } else if (token == ".attribute") {
        while (!scan_.peek().empty() && scan_.next() != ")") {
        }
      } else if (token == ".ptr") {
        // a hint on a pointer parameter; its .align is that of the memory behind it
        const std::string_view space = scan_.peek();
        if (space == ".global" || space == ".const" || space == ".shared" || space == ".local")
          scan_.next();
        if (scan_.peek() == ".align") {
          scan_.next();
          scan_.next();
        }
      } else if (token.starts_with('.')) {
        const auto size = type_sizes().find(token);
        if (size == type_sizes().end()) return unexpected(token);
        element = size->second;
      } else if (!token.empty() && is_word(token[0])) {
        declaration.name = std::string(token);
        break;
      } else {
        return unexpected("a declaration");
      }
    }
    if (element == 0) return unexpected("a declaration without a type");
    declaration.bytes = element * vector;
    declaration.alignment =
        std::max(declaration.alignment, static_cast<uint32_t>(element * vector));
    while (scan_.peek() == "[") {
      scan_.next();
      const auto count = scan_.peek() == "]" ? std::optional<uint64_t>(0) : number(scan_.next());
      if (!count || (*count != 0 && declaration.bytes > kMaximumBytes / *count))
        return unexpected("an array size");
      declaration.bytes *= *count;
      if (scan_.next() != "]") return unexpected("an array");
    }
    return declaration;
  }

  Result<void> parse_entry() {
    Kernel kernel;
    kernel.name = std::string(scan_.next());
    if (header_.kernels.size() >= kMaximumKernels) return unexpected("more than 4096 kernels");
    std::string_view token = scan_.next();
    if (token == "(") {
      RETURN_IF_ERROR(parse_parameters(kernel));
      token = scan_.next();
    }
    for (; !token.empty() && token != "{" && token != ";"; token = scan_.next())
      if (token == ".maxntid" || token == ".reqntid") kernel.max_threads = parse_dimensions();
    if (token == "{") {
      RETURN_IF_ERROR(parse_body(kernel));
      kernel.demangled = demangled_name(kernel.name);
      header_.kernels.push_back(std::move(kernel));
    }
    return {};
  }

  /// Counts the static shared memory: what the body declares and the module's variables it names.
  /// What only the functions it calls use is not seen.
  Result<void> parse_body(Kernel& kernel) {
    std::set<std::string_view> counted;
    uint64_t bytes = 0;
    const auto count = [&](const Declaration& declaration) {
      bytes = (bytes + declaration.alignment - 1) / declaration.alignment * declaration.alignment +
              declaration.bytes;
    };
    int depth = 1;
    while (depth > 0) {
      const std::string_view token = scan_.next();
      if (token.empty()) break;
      if (token == "{") ++depth;
      if (token == "}") --depth;
      if (token == ".shared") {
        // What only an assembler understands is left to it.
        if (const auto declaration = parse_declaration(); declaration.ok()) count(*declaration);
      } else if (!shared_.empty()) {
        const auto found = shared_.find(token);
        if (found != shared_.end() && counted.insert(token).second) count(found->second);
      }
      if (bytes > kMaximumBytes) return unexpected("so much shared memory");
    }
    kernel.static_shared_bytes = static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
    return {};
  }

  Result<void> parse_parameters(Kernel& kernel) {
    uint64_t offset = 0;
    while (scan_.peek() != ")") {
      if (scan_.next() != ".param") return unexpected("a kernel parameter");
      ASSIGN_OR_RETURN(const Declaration declaration, parse_declaration());
      offset = (offset + declaration.alignment - 1) / declaration.alignment * declaration.alignment;
      if (offset + declaration.bytes > uint64_t{1} << 20 ||
          kernel.parameters.size() >= kMaximumParameters)
        return unexpected("kernel parameters beyond 1 MiB");
      kernel.parameters.push_back({static_cast<uint32_t>(offset),
                                   static_cast<uint32_t>(declaration.bytes),
                                   declaration.alignment});
      offset += declaration.bytes;
      if (scan_.peek() == ",") scan_.next();
    }
    scan_.next();
    return {};
  }

  uint32_t parse_dimensions() {
    uint64_t product = 1;
    for (int dimension = 0; dimension < 3; ++dimension) {
      const auto value = number(scan_.next());
      product =
          std::min<uint64_t>(product * std::min<uint64_t>(value.value_or(1), 1u << 16), 1u << 30);
      if (scan_.peek() != ",") break;
      scan_.next();
    }
    return static_cast<uint32_t>(product);
  }

  void skip_function() {
    for (std::string_view token = scan_.next(); !token.empty() && token != ";";
         token = scan_.next())
      if (token == "{") return scan_.skip_body();
  }

  Result<void> parse_variable(bool constant, bool external) {
    ASSIGN_OR_RETURN(Declaration declaration, parse_declaration());
    for (std::string_view token = scan_.next(); !token.empty() && token != ";";
         token = scan_.next())
      if (token == "{") scan_.skip_body();
    if (header_.variables.size() >= kMaximumVariables)
      return unexpected("more than 65536 variables");
    if (!external)
      header_.variables.push_back({std::move(declaration.name), declaration.bytes, constant});
    return {};
  }

  Scanner scan_;
  PtxHeader header_;
  std::map<std::string, Declaration, std::less<>> shared_;  // of the module
};

/// The number that stands before `unit` in `line`, for example 24 in "Used 24 registers".
uint32_t figure_before(std::string_view line, std::string_view unit) {
  const size_t at = line.find(unit);
  if (at == std::string_view::npos || at == 0) return 0;
  size_t begin = at;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(line[begin - 1]))) --begin;
  uint32_t value = 0;
  std::from_chars(line.data() + begin, line.data() + at, value);
  return value;
}

}  // namespace

Result<PtxHeader> parse_ptx_header(std::string_view ptx) { return Parser(ptx).parse(); }

void add_resource_usage(std::string_view log, std::vector<Kernel>& kernels) {
  std::map<std::string_view, Kernel*> by_name;
  for (Kernel& kernel : kernels) by_name[kernel.name] = &kernel;
  Kernel* compiled = nullptr;   // of "Compiling entry function"
  Kernel* described = nullptr;  // of "Function properties for"
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    log.remove_prefix(std::min(line.size() + 1, log.size()));
    const auto lookup = [&](std::string_view name) {
      const auto found = by_name.find(name);
      return found == by_name.end() ? nullptr : found->second;
    };
    constexpr std::string_view kEntry = "Compiling entry function '";
    constexpr std::string_view kProperties = "Function properties for ";
    if (const size_t at = line.find(kEntry); at != std::string_view::npos) {
      const std::string_view rest = line.substr(at + kEntry.size());
      compiled = lookup(rest.substr(0, rest.find('\'')));
    } else if (const size_t properties = line.find(kProperties);
               properties != std::string_view::npos) {
      described = lookup(line.substr(properties + kProperties.size()));
    } else if (line.find("bytes stack frame") != std::string_view::npos && described) {
      described->stack_bytes = figure_before(line, " bytes stack frame");
      described->spill_store_bytes = figure_before(line, " bytes spill stores");
      described->spill_load_bytes = figure_before(line, " bytes spill loads");
    } else if (line.find(" registers") != std::string_view::npos && compiled) {
      compiled->registers = figure_before(line, " registers");
      compiled->static_shared_bytes = figure_before(line, " bytes smem");
    }
  }
}

}  // namespace assay
