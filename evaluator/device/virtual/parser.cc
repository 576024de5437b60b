// Theory of operation
//
// A module is parsed in one pass without recursion: the only nesting, braces in function bodies and
// in initial values, is kept on explicit stacks with limits. Registers are resolved here, because a
// function declares thousands of them as ranges (.reg .b32 %r<1000>) of which only those that
// instructions name get a number. Variables and labels stay names with a scope and are resolved
// when a kernel is decoded, when their addresses are known. Instructions stay text as well: whether
// an instruction is supported matters only once a launched kernel contains it.
#include "evaluator/device/virtual/parser.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "evaluator/device/virtual/lexer.h"

namespace assay::virtual_gpu {
namespace {

constexpr size_t kMaximumText = size_t{64} << 20;
constexpr size_t kMaximumInstructions = 2'000'000;  // of a module
constexpr size_t kMaximumOperands = 10'000'000;     // of a module
constexpr size_t kMaximumRegisters = 1 << 18;       // named by one function
constexpr size_t kMaximumVariables = 4096;          // of a module or of a function
constexpr size_t kMaximumFunctions = 16384;
constexpr size_t kMaximumDepth = 64;        // of braces
constexpr size_t kMaximumScopes = 1 << 18;  // of a function
constexpr uint64_t kMaximumVariableBytes = uint64_t{1} << 32;
constexpr uint64_t kMaximumInitialBytes = uint64_t{64} << 20;
constexpr size_t kMaximumListLength = 64;

std::optional<uint64_t> integer(std::string_view text) {
  int base = 10;
  if (!text.empty() && (text.back() == 'U' || text.back() == 'u')) text.remove_suffix(1);
  if (text.size() > 2 && text[0] == '0') {
    if (text[1] == 'x' || text[1] == 'X') base = 16;
    if (text[1] == 'b' || text[1] == 'B') base = 2;
    if (base != 10) text.remove_prefix(2);
  }
  if (base == 10 && text.size() > 1 && text[0] == '0') base = 8;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A number as an operand: integer, real32 or real64.
std::optional<Operand> number(std::string_view text) {
  Operand operand;
  const bool short_real = text.size() == 10 && (text.starts_with("0f") || text.starts_with("0F"));
  const bool long_real = text.size() == 18 && (text.starts_with("0d") || text.starts_with("0D"));
  if (short_real || long_real) {
    uint64_t bits = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + 2, end, bits, 16);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
    operand.kind = short_real ? Operand::Kind::real32 : Operand::Kind::real64;
    operand.value = static_cast<int64_t>(bits);
    return operand;
  }
  if (text.find('.') != std::string_view::npos) {
    double real = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), real);
    if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
    operand.kind = Operand::Kind::real64;
    operand.value = std::bit_cast<int64_t>(real);
    return operand;
  }
  const auto value = integer(text);
  if (!value) return std::nullopt;
  operand.kind = Operand::Kind::integer;
  operand.value = static_cast<int64_t>(*value);
  return operand;
}

bool is_name(const Token& token) { return token.kind == Token::Kind::word && token.text[0] != '.'; }

class Parser {
 public:
  explicit Parser(ParsedModule& module) : module_(module), lexer_(module.text) {}

  bool run() {
    while (lexer_.peek().kind != Token::Kind::end) {
      if (!statement()) return false;
    }
    return true;
  }
  Error take_error() { return std::move(error_); }

 private:
  // Errors.

  bool fail(ErrorKind kind, const std::string& what) {
    if (error_.message.empty()) {
      error_ = {kind, fmt::format("PTX line {}: {}", lexer_.peek().line, what)};
    }
    return false;
  }
  bool invalid(const std::string& what) { return fail(ErrorKind::invalid, what); }
  bool unsupported(const std::string& what) { return fail(ErrorKind::unsupported, what); }
  bool unexpected(std::string_view wanted) {
    const Token& token = lexer_.peek();
    return invalid(fmt::format("expected {}, found {}", wanted,
                               token.kind == Token::Kind::end
                                   ? std::string("the end of the text")
                                   : fmt::format("\"{}\"", token.text.substr(0, 40))));
  }
  bool expect(char mark) { return lexer_.take_if(mark) || unexpected(fmt::format("\"{}\"", mark)); }
  bool expect_name(std::string_view& name) {
    if (!is_name(lexer_.peek())) return unexpected("a name");
    name = lexer_.take().text;
    return true;
  }
  bool expect_integer(uint64_t& value) {
    if (lexer_.peek().kind != Token::Kind::number) return unexpected("a number");
    const auto parsed = integer(lexer_.peek().text);
    if (!parsed) return unexpected("an integer");
    value = *parsed;
    lexer_.take();
    return true;
  }

  // Module scope.

  bool statement() {
    const Token token = lexer_.peek();
    if (token.is(';')) {
      lexer_.take();
      return true;
    }
    if (token.kind != Token::Kind::word) return unexpected("a directive");
    if (token.is(".version") || token.is(".address_size") || token.is(".pragma")) {
      lexer_.skip_line();
      return true;
    }
    if (token.is(".target")) {
      lexer_.take();
      module_.target = std::string(lexer_.peek().text);
      while (lexer_.peek().kind != Token::Kind::end && lexer_.peek().line == token.line) {
        lexer_.take();
      }
      return true;
    }
    if (token.is(".file")) return file_directive();
    if (token.is(".section")) return skip_section();
    if (token.is(".loc")) {
      lexer_.skip_line();
      return true;
    }
    bool external = false;
    while (lexer_.peek().is(".extern") || lexer_.peek().is(".visible") ||
           lexer_.peek().is(".weak") || lexer_.peek().is(".common")) {
      external = lexer_.take().is(".extern");
    }
    if (lexer_.peek().is(".func")) return function(false);
    if (lexer_.peek().is(".entry")) return function(true);
    Variable variable;
    variable.external = external;
    if (!variable_declaration(variable)) return false;
    if (module_.variables.size() >= kMaximumVariables) {
      return invalid(fmt::format("more than {} variables", kMaximumVariables));
    }
    module_.variable_index[variable.name] = static_cast<uint32_t>(module_.variables.size());
    module_.variables.push_back(std::move(variable));
    return true;
  }

  bool file_directive() {
    const uint32_t line = lexer_.take().line;
    uint64_t index = 0;
    if (!expect_integer(index)) return false;
    if (lexer_.peek().kind != Token::Kind::string) return unexpected("a file name");
    if (module_.files.size() < 65536) {
      module_.files[static_cast<uint32_t>(index)] = std::string(lexer_.peek().text);
    }
    while (lexer_.peek().kind != Token::Kind::end && lexer_.peek().line == line) lexer_.take();
    return true;
  }

  bool skip_section() {
    lexer_.take();
    while (!lexer_.peek().is('{')) {
      if (lexer_.peek().kind == Token::Kind::end) return unexpected("\"{\"");
      lexer_.take();
    }
    for (size_t depth = 0;;) {
      const Token token = lexer_.take();
      if (token.kind == Token::Kind::end) return unexpected("\"}\"");
      if (token.is('{')) ++depth;
      if (token.is('}') && --depth == 0) return true;
    }
  }

  // Variables.

  bool space(Variable& variable) {
    const Token token = lexer_.take();
    if (token.is(".global"))
      variable.space = Space::global;
    else if (token.is(".const"))
      variable.space = Space::constant;
    else if (token.is(".shared"))
      variable.space = Space::shared;
    else if (token.is(".local"))
      variable.space = Space::local;
    else if (token.is(".param"))
      variable.space = Space::parameter;
    else
      return unsupported(fmt::format("directive \"{}\"", token.text.substr(0, 60)));
    return true;
  }

  /// Type, alignment, name and array size: what follows the state space.
  bool shape(Variable& variable) {
    uint64_t element = 0;
    uint64_t lanes = 1;
    bool aligned = false;
    while (lexer_.peek().kind == Token::Kind::word && lexer_.peek().text[0] == '.') {
      const std::string_view word = lexer_.take().text.substr(1);
      if (word == "align") {
        uint64_t alignment = 0;
        if (!expect_integer(alignment)) return false;
        if (alignment == 0 || alignment > 65536 || !std::has_single_bit(alignment)) {
          return invalid("an alignment that is no power of two up to 65536");
        }
        aligned |= element != 0 || variable.alignment == 1;
        variable.alignment = static_cast<uint32_t>(alignment);
      } else if (word == "ptr") {
        skip_pointer_attributes();
      } else if (word == "v2" || word == "v4" || word == "v8") {
        lanes = static_cast<uint64_t>(word[1] - '0');
      } else if (word == "attribute") {
        if (!expect('(')) return false;
        while (!lexer_.take_if(')')) {
          if (lexer_.peek().kind == Token::Kind::end) return unexpected("\")\"");
          lexer_.take();
        }
      } else if (const Type type = type_from(word); bytes_of(type) > 0) {
        element = bytes_of(type) * lanes;
      } else {
        return unsupported(fmt::format("type \".{}\"", word.substr(0, 60)));
      }
    }
    if (element == 0) return unexpected("a type");
    if (!aligned) variable.alignment = static_cast<uint32_t>(element);
    if (!expect_name(variable.name)) return false;
    variable.bytes = element;
    element_bytes_ = static_cast<uint32_t>(element / lanes);
    while (lexer_.take_if('[')) {
      if (lexer_.take_if(']')) {
        variable.unsized = true;
        continue;
      }
      uint64_t count = 0;
      if (!expect_integer(count) || !expect(']')) return false;
      if (count > kMaximumVariableBytes || variable.bytes * count > kMaximumVariableBytes) {
        return invalid(fmt::format("variable {} is larger than 4 GiB", variable.name));
      }
      variable.bytes *= count;
    }
    if (variable.unsized) variable.bytes = 0;
    return true;
  }

  void skip_pointer_attributes() {
    while (lexer_.peek().is(".global") || lexer_.peek().is(".const") ||
           lexer_.peek().is(".shared") || lexer_.peek().is(".local") ||
           lexer_.peek().is(".align")) {
      const bool alignment = lexer_.take().is(".align");
      if (alignment && lexer_.peek().kind == Token::Kind::number) lexer_.take();
    }
  }

  bool variable_declaration(Variable& variable) {
    if (!space(variable) || !shape(variable)) return false;
    if (lexer_.take_if('=') && !initial_value(variable)) return false;
    return expect(';');
  }

  bool initial_value(Variable& variable) {
    const bool braces = lexer_.take_if('{');
    do {
      if (braces && lexer_.peek().is('}')) break;
      if (lexer_.peek().is('{')) return unsupported("nested braces in an initial value");
      if (variable.initial.size() + element_bytes_ > kMaximumInitialBytes) {
        return invalid("an initial value of more than 64 MiB");
      }
      if (!initial_element(variable)) return false;
    } while (braces && lexer_.take_if(','));
    if (braces && !expect('}')) return false;
    if (variable.unsized) {
      variable.bytes = variable.initial.size();
      variable.unsized = false;
    }
    if (variable.initial.size() > variable.bytes) {
      return invalid(fmt::format("variable {} has more initial values than room", variable.name));
    }
    return true;
  }

  bool initial_element(Variable& variable) {
    uint64_t bits = 0;
    if (is_name(lexer_.peek())) {
      if (!initial_address(variable, 0)) return false;
    } else {
      const bool negative = lexer_.take_if('-');
      if (lexer_.peek().kind != Token::Kind::number) return unexpected("an initial value");
      const auto value = number(lexer_.peek().text);
      if (!value) return unexpected("a number");
      lexer_.take();
      bits = static_cast<uint64_t>(value->value);
      if (value->kind == Operand::Kind::real64 && element_bytes_ == 4) {
        bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
      }
      if (negative) bits = 0 - bits;
      if (lexer_.take_if('(')) {  // a byte of an address: 0xFF00(symbol)
        if (bits == 0) return invalid("an empty address mask");
        if (!initial_address(variable, static_cast<uint32_t>(std::countr_zero(bits)))) return false;
        if (!expect(')')) return false;
        bits = 0;
      }
    }
    for (uint32_t i = 0; i < element_bytes_; ++i) {
      variable.initial.push_back(static_cast<char>(i < 8 ? bits >> (8 * i) & 0xff : 0));
    }
    return true;
  }

  bool initial_address(Variable& variable, uint32_t shift) {
    Variable::Address address;
    address.offset = variable.initial.size();
    address.bytes = element_bytes_ < 8 ? element_bytes_ : 8;
    address.shift = shift;
    if (!expect_name(address.symbol)) return false;
    if (address.symbol == "generic" && lexer_.take_if('(')) {
      if (!expect_name(address.symbol) || !offset(address.addend) || !expect(')')) return false;
    }
    int64_t more = 0;
    if (!offset(more)) return false;
    address.addend =
        static_cast<int64_t>(static_cast<uint64_t>(address.addend) + static_cast<uint64_t>(more));
    variable.addresses.push_back(address);
    return true;
  }

  /// "+4", "-8", "+-8", any number of them.
  bool offset(int64_t& value) {
    uint64_t sum = 0;
    while (lexer_.peek().is('+') || lexer_.peek().is('-')) {
      bool negative = lexer_.take().is('-');
      if (lexer_.take_if('-')) negative = !negative;
      uint64_t part = 0;
      if (!expect_integer(part)) return false;
      sum = negative ? sum - part : sum + part;
    }
    value = static_cast<int64_t>(sum);
    return true;
  }

  // Functions.

  bool parameters(std::vector<Variable>& out) {
    if (!expect('(')) return false;
    if (lexer_.take_if(')')) return true;
    do {
      Variable parameter;
      if (!lexer_.peek().is(".param")) {
        return unsupported("a function parameter that is not in .param space");
      }
      if (!space(parameter) || !shape(parameter)) return false;
      if (out.size() >= kMaximumVariables) return invalid("too many parameters");
      out.push_back(std::move(parameter));
    } while (lexer_.take_if(','));
    return expect(')');
  }

  bool function(bool is_kernel) {
    lexer_.take();
    Function function;
    function.is_kernel = is_kernel;
    while (lexer_.peek().is(".noreturn") || lexer_.peek().is(".attribute")) lexer_.skip_line();
    if (lexer_.peek().is('(') && !parameters(function.results)) return false;
    if (!expect_name(function.name)) return false;
    if (lexer_.peek().is('(') && !parameters(function.parameters)) return false;
    if (!performance_directives(function)) return false;
    if (lexer_.take_if(';')) return add(std::move(function));
    if (!lexer_.peek().is('{')) return unexpected("\"{\" or \";\"");
    function.defined = true;
    return body(function) && add(std::move(function));
  }

  bool performance_directives(Function& function) {
    while (lexer_.peek().kind == Token::Kind::word && lexer_.peek().text[0] == '.') {
      const std::string_view word = lexer_.take().text;
      if (word == ".pragma") {
        lexer_.skip_line();
        continue;
      }
      uint32_t* limits = nullptr;
      if (word == ".maxntid") limits = function.max_threads;
      if (word == ".reqntid") limits = function.required_threads;
      if (word == ".reqnctapercluster") limits = function.required_cluster;
      uint64_t values[3] = {1, 1, 1};
      size_t count = 0;
      while (lexer_.peek().kind == Token::Kind::number) {
        uint64_t value = 0;
        if (!expect_integer(value)) return false;
        if (count < 3) values[count] = value;
        ++count;
        if (!lexer_.take_if(',')) break;
      }
      for (int i = 0; limits != nullptr && i < 3; ++i) {
        limits[i] = static_cast<uint32_t>(values[i] < 4096 ? values[i] : 4096);
      }
    }
    return true;
  }

  bool add(Function&& function) {
    const auto [place, is_new] = module_.function_index.try_emplace(
        function.name, static_cast<uint32_t>(module_.functions.size()));
    if (is_new) {
      if (module_.functions.size() >= kMaximumFunctions) return invalid("too many functions");
      module_.functions.push_back(std::move(function));
    } else if (function.defined) {
      if (module_.functions[place->second].defined) {
        return invalid(fmt::format("function {} is defined twice", function.name));
      }
      module_.functions[place->second] = std::move(function);
    }
    return true;
  }

  bool body(Function& function) {
    function_ = &function;
    scope_ = kNone;
    location_ = kNone;
    locations_.clear();
    register_ids_.clear();
    size_t depth = 0;
    do {
      if (lexer_.peek().is('{')) {
        lexer_.take();
        if (++depth > kMaximumDepth) return invalid("braces nested too deeply");
        if (function.scopes.size() >= kMaximumScopes) return invalid("too many pairs of braces");
        function.scopes.emplace_back().parent = scope_;
        scope_ = static_cast<uint32_t>(function.scopes.size() - 1);
      } else if (lexer_.peek().is('}')) {
        lexer_.take();
        --depth;
        scope_ = function.scopes[scope_].parent;
      } else if (!body_statement()) {
        return false;
      }
    } while (depth > 0);
    return true;
  }

  Scope& scope() { return function_->scopes[scope_]; }

  bool body_statement() {
    const Token token = lexer_.peek();
    if (token.kind == Token::Kind::end) return unexpected("\"}\"");
    if (token.is(';')) {
      lexer_.take();
      return true;
    }
    if (token.is('@')) return instruction();
    if (token.kind != Token::Kind::word) return unexpected("an instruction");
    if (token.text[0] != '.') {
      // A label or an instruction: only the next token tells.
      const Token word = lexer_.take();
      if (lexer_.take_if(':')) return label(word.text);
      return instruction(word);
    }
    if (token.is(".reg")) return registers();
    if (token.is(".loc")) return location();
    if (token.is(".pragma")) {
      while (!lexer_.take_if(';')) {
        if (lexer_.peek().kind == Token::Kind::end) return unexpected("\";\"");
        lexer_.take();
      }
      return true;
    }
    Variable variable;
    if (!variable_declaration(variable)) return false;
    if (function_->variables.size() >= kMaximumInstructions) return invalid("too many variables");
    scope().variables[variable.name] = static_cast<uint32_t>(function_->variables.size());
    function_->variables.push_back(std::move(variable));
    return true;
  }

  bool label(std::string_view name) {
    if (lexer_.peek().is(".branchtargets") || lexer_.peek().is(".calltargets")) {
      const bool branches = lexer_.take().is(".branchtargets");
      std::vector<std::string_view> names;
      do {
        std::string_view target;
        if (!expect_name(target)) return false;
        if (names.size() >= 65536) return invalid("too many branch targets");
        names.push_back(target);
      } while (lexer_.take_if(','));
      if (branches) scope().tables[name] = std::move(names);
      return expect(';');
    }
    if (lexer_.peek().is(".callprototype")) {  // the call's own operands say as much
      while (!lexer_.take_if(';')) {
        if (lexer_.peek().kind == Token::Kind::end) return unexpected("\";\"");
        lexer_.take();
      }
      return true;
    }
    const auto index = static_cast<uint32_t>(function_->instructions.size());
    if (!scope().labels.emplace(name, index).second) {
      return invalid(fmt::format("label {} is defined twice", name));
    }
    return true;
  }

  bool registers() {
    lexer_.take();
    if (lexer_.peek().kind != Token::Kind::word) return unexpected("a register type");
    const Type type = type_from(lexer_.peek().text.substr(1));
    if (type == Type::none) {
      return unsupported(fmt::format("register type \"{}\"", lexer_.peek().text.substr(0, 60)));
    }
    lexer_.take();
    do {
      std::string_view name;
      if (!expect_name(name)) return false;
      Scope::Registers entry{type, 0, ++register_declarations_};
      if (lexer_.take_if('<')) {
        uint64_t count = 0;
        if (!expect_integer(count) || !expect('>')) return false;
        if (count == 0 || count > 0x7fffffff) return invalid("a register range of no length");
        entry.count = static_cast<uint32_t>(count);
      }
      scope().registers[name] = entry;
    } while (lexer_.take_if(','));
    return expect(';');
  }

  bool location() {
    const uint32_t line = lexer_.take().line;
    uint64_t numbers[3] = {0, 0, 0};
    for (uint64_t& value : numbers) {
      if (!expect_integer(value)) return false;
    }
    SourceLocation entry{static_cast<uint32_t>(numbers[0]), static_cast<uint32_t>(numbers[1]),
                         static_cast<uint32_t>(numbers[2]), kNone};
    while (lexer_.peek().kind != Token::Kind::end && lexer_.peek().line == line) {
      const Token token = lexer_.take();
      if (!token.is("inlined_at")) continue;
      uint64_t caller[3] = {0, 0, 0};
      for (uint64_t& value : caller) {
        if (!expect_integer(value)) return false;
      }
      SourceLocation place{static_cast<uint32_t>(caller[0]), static_cast<uint32_t>(caller[1]),
                           static_cast<uint32_t>(caller[2]), kNone};
      entry.caller = known_location(place);
    }
    location_ = static_cast<uint32_t>(function_->locations.size());
    function_->locations.push_back(entry);
    locations_[key(entry)] = location_;
    return true;
  }

  static uint64_t key(const SourceLocation& location) {
    return (uint64_t{location.file} << 44) ^ (uint64_t{location.line} << 16) ^ location.column;
  }
  uint32_t known_location(const SourceLocation& location) {
    const auto [place, is_new] =
        locations_.try_emplace(key(location), static_cast<uint32_t>(function_->locations.size()));
    if (is_new) function_->locations.push_back(location);
    return place->second;
  }

  // Instructions.

  bool instruction() {
    lexer_.take();  // @
    Instruction instruction;
    instruction.guard_negated = lexer_.take_if('!');
    std::string_view name;
    if (!expect_name(name)) return false;
    instruction.guard = find_register(name);
    if (instruction.guard == kNone || function_->registers[instruction.guard] != Type::pred) {
      return invalid(fmt::format("guard {} is no predicate register", name.substr(0, 60)));
    }
    if (!is_name(lexer_.peek())) return unexpected("an instruction");
    return finish(instruction, lexer_.take());
  }
  bool instruction(const Token& opcode) { return finish(Instruction{}, opcode); }

  bool finish(Instruction instruction, const Token& opcode) {
    instruction.opcode = opcode.text;
    instruction.line = opcode.line;
    instruction.scope = scope_;
    instruction.location = location_;
    if (++instructions_ > kMaximumInstructions) return invalid("too many instructions");
    std::vector<Operand> operands;
    while (!lexer_.peek().is(';')) {
      Operand operand;
      if (!this->operand(operand)) return false;
      if (lexer_.take_if('|'))
        operand.paired = true;
      else if (!lexer_.take_if(',') && !lexer_.peek().is(';'))
        return unexpected("\",\" or \";\"");
      if (operands.size() >= kMaximumListLength) return invalid("too many operands");
      operands.push_back(operand);
    }
    lexer_.take();
    instruction.first = static_cast<uint32_t>(function_->operands.size());
    instruction.count = static_cast<uint32_t>(operands.size());
    if (!store(operands)) return false;
    function_->instructions.push_back(instruction);
    return true;
  }

  bool store(const std::vector<Operand>& operands) {
    operands_ += operands.size();
    if (operands_ > kMaximumOperands) return invalid("too many operands in the module");
    function_->operands.insert(function_->operands.end(), operands.begin(), operands.end());
    return true;
  }

  bool operand(Operand& out) {
    if (lexer_.peek().is('[')) return memory(out);
    const bool list = lexer_.peek().is('(');
    if (!list && !lexer_.peek().is('{')) return simple(out);
    lexer_.take();
    const char close = list ? ')' : '}';
    std::vector<Operand> elements;
    while (!lexer_.take_if(close)) {
      Operand element;
      if (!simple(element)) return false;
      if (elements.size() >= kMaximumListLength) return invalid("a list that is too long");
      elements.push_back(element);
      if (!lexer_.peek().is(close) && !expect(',')) return false;
    }
    out.kind = list ? Operand::Kind::list : Operand::Kind::vector;
    out.first = static_cast<uint32_t>(function_->operands.size());
    out.count = static_cast<uint32_t>(elements.size());
    return store(elements);
  }

  bool simple(Operand& out) {
    const bool inverted = lexer_.take_if('!');
    const bool negative = lexer_.take_if('-');
    const Token token = lexer_.peek();
    if (token.kind == Token::Kind::number) {
      const auto value = number(token.text);
      if (!value) return unexpected("a number");
      lexer_.take();
      out = *value;
      if (negative && out.kind == Operand::Kind::integer) {
        out.value = static_cast<int64_t>(0 - static_cast<uint64_t>(out.value));
      } else if (negative) {
        const int sign = out.kind == Operand::Kind::real32 ? 31 : 63;
        out.value = static_cast<int64_t>(static_cast<uint64_t>(out.value) ^ (uint64_t{1} << sign));
      }
      return true;
    }
    if (!is_name(token)) return unexpected("an operand");
    lexer_.take();
    out.negated = inverted || negative;
    if (token.text == "_") return true;
    named(token.text, out);
    return out.kind == Operand::Kind::reg || offset(out.value);
  }

  void named(std::string_view name, Operand& out) {
    if (name == "WARP_SZ") {
      out.kind = Operand::Kind::integer;
      out.value = 32;
      return;
    }
    out.reg = find_register(name);
    out.kind = out.reg != kNone ? Operand::Kind::reg : Operand::Kind::name;
    out.name = name;
  }

  bool memory(Operand& out) {
    lexer_.take();
    if (lexer_.peek().kind == Token::Kind::number || lexer_.peek().is('-')) {
      if (!simple(out)) return false;
    } else {
      std::string_view name;
      if (!expect_name(name)) return false;
      named(name, out);
      if (!offset(out.value)) return false;
    }
    out.kind = Operand::Kind::memory;
    if (lexer_.peek().is(',')) {
      // No instruction that this device knows takes coordinates.
      out.kind = Operand::Kind::tensor;
      while (!lexer_.peek().is(']') && !lexer_.peek().is(';') &&
             lexer_.peek().kind != Token::Kind::end) {
        lexer_.take();
      }
    }
    return expect(']');
  }

  /// The number of a register by its name as seen from the current scope, or kNone.
  uint32_t find_register(std::string_view name) {
    size_t digits = name.size();
    while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9') --digits;
    std::optional<uint64_t> suffix;
    const bool plain_suffix =
        digits < name.size() && (name[digits] != '0' || digits + 1 == name.size());
    if (plain_suffix) {
      uint64_t value = 0;
      const auto parsed = std::from_chars(name.data() + digits, name.data() + name.size(), value);
      if (parsed.ec == std::errc{}) suffix = value;
    }
    for (uint32_t at = scope_; at != kNone; at = function_->scopes[at].parent) {
      const auto& registers = function_->scopes[at].registers;
      if (const auto found = registers.find(name);
          found != registers.end() && found->second.count == 0) {
        return register_id(found->second, 0, name);
      }
      if (!suffix) continue;
      const auto range = registers.find(name.substr(0, digits));
      if (range != registers.end() && *suffix < range->second.count) {
        return register_id(range->second, static_cast<uint32_t>(*suffix), name);
      }
    }
    return kNone;
  }

  uint32_t register_id(const Scope::Registers& declared, uint32_t index, std::string_view name) {
    const uint64_t key = uint64_t{declared.id} << 32 | index;
    const auto [place, is_new] =
        register_ids_.try_emplace(key, static_cast<uint32_t>(function_->registers.size()));
    if (is_new) {
      if (function_->registers.size() >= kMaximumRegisters) {
        register_ids_.erase(place);
        return kNone;
      }
      function_->registers.push_back(declared.type);
      function_->register_names.push_back(name);
    }
    return place->second;
  }

  ParsedModule& module_;
  Lexer lexer_;
  Error error_;
  Function* function_ = nullptr;
  uint32_t scope_ = kNone;
  uint32_t location_ = kNone;
  uint32_t element_bytes_ = 0;  // of the variable declared last
  uint32_t register_declarations_ = 0;
  size_t instructions_ = 0;
  size_t operands_ = 0;
  std::unordered_map<uint64_t, uint32_t> register_ids_;
  std::unordered_map<uint64_t, uint32_t> locations_;
};

}  // namespace

Result<std::unique_ptr<ParsedModule>> parse_ptx(std::string text) {
  if (text.size() > kMaximumText) {
    return Error{ErrorKind::invalid, fmt::format("PTX of {} bytes; at most {} are accepted",
                                                 text.size(), kMaximumText)};
  }
  auto module = std::make_unique<ParsedModule>();
  module->text = std::move(text);
  Parser parser(*module);
  if (!parser.run()) return parser.take_error();
  return module;
}

}  // namespace assay::virtual_gpu
