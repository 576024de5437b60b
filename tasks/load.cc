// Reads task.toml and statement.md of one task folder. docs/task-format.md describes the format.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/files.h"
#include "tasks/bind.h"
#include "tasks/expression.h"
#include "tasks/fill_kinds.h"
#include "tasks/nearest.h"
#include "tasks/task.h"
#include "tasks/toml_reader.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

using Presence = TomlReader::Presence;

constexpr size_t kLargestFile = 1 << 20;
constexpr size_t kMostTensors = 64;
constexpr size_t kMostScalars = 64;
constexpr size_t kMostCases = 256;
constexpr size_t kMostDimensions = 8;
constexpr size_t kMostSymbols = 64;

const std::vector<std::string>& units() {
  static const std::vector<std::string> names = {"fp32", "fp64", "tc16", "tf32",
                                                 "fp8",  "int8", "int32"};
  return names;
}

std::vector<std::string> dtype_names() {
  std::vector<std::string> names;
  for (int i = 0; i < kDtypeCount; ++i) names.emplace_back(name(static_cast<Dtype>(i)));
  return names;
}

std::vector<std::string> fill_kind_names() {
  std::vector<std::string> names;
  for (const FillKindInfo& kind : fill_kinds()) names.emplace_back(kind.name);
  return names;
}

/// C++ words that cannot be the name of a parameter of solve().
bool is_taken(std::string_view name) {
  static const std::set<std::string_view> taken = {
      "alignas",   "alignof",  "and",      "asm",      "auto",    "bitand",  "bitor",     "bool",
      "break",     "case",     "catch",    "char",     "class",   "compl",   "concept",   "const",
      "constexpr", "continue", "decltype", "default",  "delete",  "do",      "double",    "else",
      "enum",      "explicit", "export",   "extern",   "false",   "float",   "for",       "friend",
      "goto",      "if",       "inline",   "int",      "long",    "mutable", "namespace", "new",
      "noexcept",  "not",      "nullptr",  "operator", "or",      "private", "protected", "public",
      "register",  "requires", "return",   "short",    "signed",  "sizeof",  "static",    "struct",
      "switch",    "template", "this",     "throw",    "true",    "try",     "typedef",   "typeid",
      "typename",  "union",    "unsigned", "using",    "virtual", "void",    "volatile",  "while",
      "xor",       "solve",    "stream"};
  return taken.contains(name);
}

bool is_word(std::string_view text, std::string_view more, size_t longest) {
  if (text.empty() || text.size() > longest) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
  });
}

bool is_parameter_name(std::string_view text) {
  constexpr std::string_view kMore = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
  return is_word(text, kMore, 63) && !(text[0] >= '0' && text[0] <= '9') && text[0] != '_' &&
         text.find("__") == text.npos && !is_taken(text);
}

/// The state of one load: the task so far and what was wrong with it.
class Loader {
 public:
  explicit Loader(const fs::path& folder) {
    task_.folder = folder;
    const fs::path whole = fs::absolute(folder).lexically_normal();
    folder_name_ = (whole.has_filename() ? whole : whole.parent_path()).filename().string();
    const fs::path parent = (whole.has_filename() ? whole : whole.parent_path()).parent_path();
    task_.suite = parent.filename().string();
  }

  Result<Task> run() {
    const fs::path path = task_.folder / "task.toml";
    ASSIGN_OR_RETURN(const std::string text, read_file(path, kLargestFile));
    if (!is_utf8(text))
      return Error{ErrorKind::invalid, fmt::format("{}: is not UTF-8 text", path.string())};
    try {
      const toml::table root = toml::parse(text);
      read(root);
    } catch (const toml::parse_error& error) {
      problems_.add(static_cast<int>(error.source().begin.line), "",
                    fmt::format("is not TOML: {}", error.description()));
    }
    read_statement();
    // Expressions are worth a look only in a task whose parts are in order.
    if (problems_.none())
      for (const CaseSpec& spec : task_.cases) bind_collecting(task_, spec, problems_);
    if (!problems_.none()) return problems_.error(path);
    return std::move(task_);
  }

 private:
  void read(const toml::table& root) {
    TomlReader reader(problems_, root, "");
    read_identity(reader);
    read_symbols(reader);
    read_tensors(reader);
    read_scalars(reader);
    read_evidence(reader);
    if (const toml::table* table = reader.table("tolerance", Presence::required)) {
      TomlReader tolerance(problems_, *table, "tolerance");
      task_.tolerance = read_tolerance(tolerance);
      task_.tolerance_reason = tolerance.text("reason", Presence::required).value_or("");
      tolerance.finish();
    }
    read_work(reader);
    read_cases(reader);
    reader.finish();
  }

  void read_identity(TomlReader& reader) {
    task_.id = reader.text("id", Presence::required).value_or("");
    task_.title = reader.text("title", Presence::required).value_or("");
    task_.source = reader.text("source", Presence::required).value_or("");
    const std::optional<int64_t> level = reader.integer("level", Presence::required);
    task_.level = static_cast<int>(std::clamp<int64_t>(level.value_or(1), 0, 5));
    if (level && (*level < 1 || *level > 4))
      reader.complain("level", fmt::format("is {}; allowed: 1, 2, 3, 4", *level));
    if (task_.id.empty()) return;
    if (!is_word(task_.id, "-", 64) || task_.id.front() == '-')
      reader.complain("id", fmt::format("{} cannot be an id; allowed: up to 64 lower-case letters, "
                                        "digits and hyphens",
                                        in_quotes(task_.id)));
    else if (task_.id != folder_name_)
      reader.complain("id", fmt::format("is {}, but the folder is named {}; they must be equal",
                                        in_quotes(task_.id), in_quotes(folder_name_)));
  }

  void read_symbols(TomlReader& reader) {
    const toml::table* table = reader.table("symbols", Presence::optional);
    if (!table) return;
    if (table->size() > kMostSymbols)
      return reader.complain("symbols", fmt::format("more than {}", kMostSymbols));
    for (const auto& [symbol, node] : in_file_order(*table)) {
      const std::optional<std::string> expression = as_expression(*node);
      const std::string key = "symbols: " + symbol;
      if (!is_symbol_name(symbol)) {
        problems_.add(line_of(*node), key, kSymbolRule);
      } else if (!expression) {
        problems_.add(line_of(*node), key,
                      fmt::format("is {}; it must be a number or an expression in quotes",
                                  type_in_words(*node)));
      } else {
        task_.derived[symbol] = *expression;
        task_.derived_order.push_back(symbol);
        task_.derived_lines[symbol] = line_of(*node);
      }
    }
  }

  static bool is_symbol_name(std::string_view name) { return Expressions::is_symbol(name); }
  static constexpr std::string_view kSymbolRule =
      "cannot be a symbol; allowed: a letter, then letters, digits and underscores, and not the "
      "name of a function";

  /// The name of a tensor or scalar, checked for form and for a namesake.
  std::string read_parameter_name(TomlReader& reader, std::string_view kind, size_t number) {
    const std::optional<std::string> given = reader.text("name", Presence::required);
    if (!given) return "";
    if (!is_parameter_name(*given)) {
      reader.complain("name", fmt::format("{} cannot be a parameter of solve; allowed: a letter, "
                                          "then letters, digits and single underscores, and no "
                                          "word of C++",
                                          in_quotes(*given)));
      return "";
    }
    reader.rename(fmt::format("{} {}", kind, *given));
    if (!parameter_names_.insert(*given).second)
      reader.complain("name", fmt::format("{} was used before (this is {} {}); names must differ",
                                          in_quotes(*given), kind, number));
    return *given;
  }

  std::optional<Dtype> read_dtype(TomlReader& reader) {
    const std::optional<std::string> dtype =
        reader.choice("dtype", dtype_names(), Presence::required);
    return dtype ? dtype_from_name(*dtype) : std::nullopt;
  }

  void read_tensors(TomlReader& reader) {
    const std::vector<const toml::table*> tables = reader.tables("tensor");
    if (tables.size() > kMostTensors)
      return reader.complain("tensor", fmt::format("more than {}", kMostTensors));
    for (const toml::table* table : tables) {
      TomlReader tensor(problems_, *table, fmt::format("tensor {}", task_.tensors.size() + 1));
      task_.tensors.push_back(read_tensor(tensor));
    }
    if (!any_output_)
      reader.complain("tensor",
                      "there is no output; at least one [[tensor]] must have direction "
                      "\"out\" or \"inout\"");
  }

  /// Name, dtype, shape and description.
  TensorSpec read_form(TomlReader& reader, std::string_view kind, size_t number) {
    TensorSpec tensor;
    tensor.name = read_parameter_name(reader, kind, number);
    tensor.dtype = read_dtype(reader).value_or(Dtype::f32);
    tensor.shape = reader.expressions("shape", Presence::required).value_or(tensor.shape);
    if (tensor.shape.size() > kMostDimensions)
      reader.complain("shape", fmt::format("has more than {} dimensions", kMostDimensions));
    tensor.line = reader.line("shape");
    tensor.description = reader.text("description", Presence::required).value_or("");
    return tensor;
  }

  TensorSpec read_tensor(TomlReader& reader) {
    TensorSpec tensor = read_form(reader, "tensor", task_.tensors.size() + 1);
    const std::string direction =
        reader.choice("direction", {"in", "out", "inout"}, Presence::required).value_or("");
    any_output_ = any_output_ || direction != "in";
    tensor.direction = direction == "out"     ? Direction::out
                       : direction == "inout" ? Direction::inout
                                              : Direction::in;
    read_fill_and_tolerance(reader, tensor);
    reader.finish();
    return tensor;
  }

  void read_evidence(TomlReader& reader) {
    const std::vector<const toml::table*> tables = reader.tables("evidence");
    if (tables.size() > kMostTensors)
      return reader.complain("evidence", fmt::format("more than {}", kMostTensors));
    for (const toml::table* table : tables) {
      TomlReader evidence(problems_, *table, fmt::format("evidence {}", task_.evidence.size() + 1));
      TensorSpec tensor = read_form(evidence, "evidence", task_.evidence.size() + 1);
      tensor.direction = Direction::out;
      if (const toml::table* tolerance = evidence.table("tolerance", Presence::optional))
        tensor.tolerance = read_tolerance_of(*tolerance, evidence.where());
      evidence.finish();
      task_.evidence.push_back(std::move(tensor));
    }
    if (tables.empty()) return;
    for (const TensorSpec& tensor : task_.tensors) {
      const std::string key = fmt::format("tensor {}", tensor.name);
      if (tensor.tolerance)
        problems_.add(tensor.tolerance->line, key + ": tolerance",
                      "cannot be: in a task with [[evidence]] that is compared, not the outputs");
      if (tensor.direction == Direction::inout)
        problems_.add(tensor.line, key + ": direction",
                      "is \"inout\"; allowed in a task with [[evidence]]: in, out, because "
                      "evidence.cu needs the inputs as they were");
    }
  }

  void read_fill_and_tolerance(TomlReader& reader, TensorSpec& tensor) {
    const bool is_output = tensor.direction == Direction::out;
    if (const toml::table* fill =
            reader.table("fill", is_output ? Presence::optional : Presence::required)) {
      if (is_output)
        reader.complain("fill",
                        "belongs to in and inout tensors; an output is poisoned, not filled");
      else
        tensor.fill = read_fill(*fill, reader.where() + ": fill");
    }
    if (const toml::table* table = reader.table("tolerance", Presence::optional)) {
      if (tensor.direction == Direction::in)
        reader.complain("tolerance", "belongs to out and inout tensors; an input is not compared");
      tensor.tolerance = read_tolerance_of(*table, reader.where());
    }
  }

  FillSpec read_fill(const toml::table& table, const std::string& where) {
    FillSpec fill;
    fill.line = std::max(1, line_of(table));
    TomlReader reader(problems_, table, where);
    const std::optional<std::string> kind =
        reader.choice("kind", fill_kind_names(), Presence::required);
    if (!kind) return fill;
    fill.kind = *fill_kind_from_name(*kind);
    fill.like = reader.text("like", Presence::optional).value_or("");
    for (const std::string& parameter : fill_parameter_names(fill.kind))
      if (const auto value = reader.expression(parameter, Presence::optional))
        fill.parameters[parameter] = *value;
    for (const FillParameter& parameter : info(fill.kind).parameters)
      if (!parameter.fallback && !fill.parameters.contains(std::string(parameter.name)) &&
          !table.contains(parameter.name))
        reader.complain(parameter.name, fmt::format("is missing; the fill {} needs it", *kind));
    reader.finish();
    return fill;
  }

  /// A tensor's own.
  ToleranceSpec read_tolerance_of(const toml::table& table, const std::string& where) {
    TomlReader reader(problems_, table, where + ": tolerance");
    const ToleranceSpec tolerance = read_tolerance(reader);
    reader.text("reason", Presence::optional);
    reader.finish();
    return tolerance;
  }

  ToleranceSpec read_tolerance(TomlReader& reader) {
    ToleranceSpec tolerance;
    tolerance.key = reader.where();
    tolerance.line = reader.line("atol");
    tolerance.atol = reader.expression("atol", Presence::required).value_or("0");
    tolerance.rtol = reader.expression("rtol", Presence::required).value_or("0");
    tolerance.rel_frobenius = reader.expression("rel_frobenius", Presence::optional);
    return tolerance;
  }

  void read_scalars(TomlReader& reader) {
    const std::vector<const toml::table*> tables = reader.tables("scalar");
    if (tables.size() > kMostScalars)
      return reader.complain("scalar", fmt::format("more than {}", kMostScalars));
    for (const toml::table* table : tables) {
      TomlReader scalar(problems_, *table, fmt::format("scalar {}", task_.scalars.size() + 1));
      ScalarSpec spec;
      spec.name = read_parameter_name(scalar, "scalar", task_.scalars.size() + 1);
      spec.dtype = read_dtype(scalar).value_or(Dtype::i32);
      spec.value = scalar.expression("value", Presence::required).value_or("");
      spec.line = scalar.line("value");
      spec.description = scalar.text("description", Presence::required).value_or("");
      scalar.finish();
      task_.scalars.push_back(std::move(spec));
    }
  }

  void read_work(TomlReader& reader) {
    const toml::table* table = reader.table("work", Presence::required);
    if (!table) return;
    TomlReader work(problems_, *table, "work");
    task_.work.flops = work.expression("flops", Presence::required).value_or("");
    task_.work.bytes = work.expression("bytes", Presence::required).value_or("");
    task_.work.unit = work.choice("unit", units(), Presence::required).value_or("");
    task_.work.line = std::max(1, line_of(*table));
    work.finish();
  }

  void read_cases(TomlReader& reader) {
    const std::vector<const toml::table*> tables = reader.tables("case");
    if (tables.size() > kMostCases)
      return reader.complain("case", fmt::format("more than {}", kMostCases));
    if (tables.empty())
      return reader.complain("case",
                             "there is no [[case]]; a task needs at least one with role "
                             "\"test\"");
    std::set<std::string> names;
    bool any_test = false;
    for (const toml::table* table : tables) {
      TomlReader reader_of_case(problems_, *table, fmt::format("case {}", task_.cases.size() + 1));
      CaseSpec spec = read_case(reader_of_case);
      if (!spec.name.empty() && !names.insert(spec.name).second)
        reader_of_case.complain(
            "name", fmt::format("{} was used before; names must differ", in_quotes(spec.name)));
      any_test = any_test || spec.role == Role::test;
      task_.cases.push_back(std::move(spec));
    }
    if (!any_test)
      reader.complain("case", "there is no case with role \"test\"; at least one is needed");
  }

  CaseSpec read_case(TomlReader& reader) {
    CaseSpec spec;
    if (const auto given = reader.text("name", Presence::required)) {
      if (is_word(*given, "-_.", 64)) {
        spec.name = *given;
        reader.rename("case " + *given);
      } else {
        reader.complain("name", fmt::format("{} cannot be a case's name; allowed: up to 64 "
                                            "lower-case letters, digits, hyphens, dots and "
                                            "underscores",
                                            in_quotes(*given)));
      }
    }
    spec.line = std::max(1, reader.line("symbols"));
    spec.role = reader.choice("role", {"test", "timed"}, Presence::required) == "timed"
                    ? Role::timed
                    : Role::test;
    spec.on_virtual = reader.boolean("virtual").value_or(spec.role == Role::test);
    if (const toml::table* symbols = reader.table("symbols", Presence::required))
      read_case_symbols(*symbols, reader, spec);
    if (const toml::table* fills = reader.table("fill", Presence::optional))
      for (const auto& [tensor, node] : in_file_order(*fills)) {
        const std::string where = fmt::format("{}: fill {}", reader.where(), tensor);
        if (const toml::table* fill = node->as_table())
          spec.fills[tensor] = read_fill(*fill, where);
        else
          problems_.add(line_of(*node), where,
                        fmt::format("is {}; it must be a fill such as {{ kind = \"normal\" }}",
                                    type_in_words(*node)));
      }
    reader.finish();
    return spec;
  }

  void read_case_symbols(const toml::table& table, TomlReader& reader, CaseSpec& spec) {
    if (table.size() > kMostSymbols)
      return reader.complain("symbols", fmt::format("more than {}", kMostSymbols));
    for (const auto& [symbol, node] : in_file_order(table)) {
      const std::string key = fmt::format("{}: symbols: {}", reader.where(), symbol);
      const auto* integer = node->as_integer();
      const auto* number = node->as_floating_point();
      const double value = integer  ? static_cast<double>(integer->get())
                           : number ? number->get()
                                    : 0;
      const int line = line_of(*node);
      if (!is_symbol_name(symbol))
        problems_.add(line, key, kSymbolRule);
      else if (task_.derived.contains(symbol))
        problems_.add(line, key, "is defined in [symbols] as well; a symbol has one definition");
      else if (!integer && !number)
        problems_.add(line, key, fmt::format("is {}; it must be a number", type_in_words(*node)));
      else if (!std::isfinite(value) || std::abs(value) > 9007199254740992.0)
        problems_.add(line, key, fmt::format("is {}; allowed: numbers of at most 2^53", value));
      else
        spec.symbols[symbol] = value;
    }
  }

  void read_statement() {
    const Result<std::string> text = read_file(task_.folder / "statement.md", kLargestFile);
    const std::string key = "statement.md";
    if (!text)
      problems_.add(
          0, key,
          fmt::format("cannot be read ({}); a task needs its statement", text.error().message));
    else if (!is_utf8(*text))
      problems_.add(0, key, "is not UTF-8 text");
    else if (text->find_first_not_of(" \t\r\n") == std::string::npos)
      problems_.add(0, key, "is empty; it must say what solve() has to compute");
    else
      task_.statement = *text;
  }

  Task task_;
  Problems problems_;
  std::string folder_name_;
  std::set<std::string> parameter_names_;
  bool any_output_ = false;  // or a direction that could not be read
};

}  // namespace

Result<Task> load_task(const fs::path& folder) { return Loader(folder).run(); }

}  // namespace assay
