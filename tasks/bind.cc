// A task's expressions at one case's symbols, as numbers.
#include "tasks/bind.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tasks/expression.h"
#include "tasks/fill_kinds.h"
#include "tasks/nearest.h"

namespace assay {

namespace {

constexpr uint64_t kMostElements = uint64_t{1} << 40;

/// Of outputs that are judged by evidence: any numbers, where the reference has numbers.
constexpr Tolerance kFinite{std::numeric_limits<double>::infinity(), 0, std::nullopt};

/// The state of one binding.
class Binder {
 public:
  Binder(const Task& task, const CaseSpec& spec, Problems& problems)
      : task_(task), spec_(spec), problems_(problems) {}

  BoundCase run() {
    BoundCase bound;
    bound.task_id = task_.id;
    bound.case_name = spec_.name;
    bound.role = spec_.role;
    if (!define_symbols()) return bound;
    check_overrides();
    common_tolerance_ = bind_tolerance(task_.tolerance);
    for (const TensorSpec& tensor : task_.tensors) bound.tensors.push_back(bind_tensor(tensor));
    for (const TensorSpec& tensor : task_.evidence) bound.evidence.push_back(bind_evidence(tensor));
    for (const ScalarSpec& scalar : task_.scalars) bound.scalars.push_back(bind_scalar(scalar));
    bound.flops = work("flops", task_.work.flops);
    bound.bytes = work("bytes", task_.work.bytes);
    return bound;
  }

 private:
  void complain(int line, const std::string& key, const std::string& text) {
    problems_.add(line, key, fmt::format("{} (case {})", text, spec_.name));
  }

  /// Without all symbols every expression would complain: better one complaint, about the symbol.
  bool define_symbols() {
    bool ok = true;
    for (const auto& [symbol, value] : spec_.symbols) {
      if (std::isfinite(value) && Expressions::is_symbol(symbol)) {
        symbols_.define(symbol, value);
        continue;
      }
      complain(spec_.line, "symbols",
               fmt::format("{} = {} cannot be: a symbol is a finite number and its name letters, "
                           "digits and underscores, not that of a function",
                           symbol, value));
      ok = false;
    }
    for (const std::string& symbol : task_.derived_order) {
      const auto line = task_.derived_lines.find(symbol);
      const Result<double> value = symbols_.evaluate(task_.derived.at(symbol));
      if (value) {
        symbols_.define(symbol, *value);
        continue;
      }
      complain(line == task_.derived_lines.end() ? 0 : line->second, "symbols: " + symbol,
               value.error().message);
      ok = false;
    }
    return ok;
  }

  const TensorSpec* find_tensor(const std::string& name) const {
    for (const TensorSpec& tensor : task_.tensors)
      if (tensor.name == name) return &tensor;
    return nullptr;
  }

  std::vector<std::string> filled_tensors() const {
    std::vector<std::string> names;
    for (const TensorSpec& tensor : task_.tensors)
      if (tensor.direction != Direction::out) names.push_back(tensor.name);
    return names;
  }

  void check_overrides() {
    for (const auto& [tensor_name, fill] : spec_.fills) {
      const std::vector<std::string> names = filled_tensors();
      if (std::find(names.begin(), names.end(), tensor_name) == names.end())
        complain(fill.line, "fill",
                 fmt::format("{} is not an input tensor; allowed: {}{}", in_quotes(tensor_name),
                             listed(names), suggestion(tensor_name, names)));
    }
  }

  BoundTensor bind_tensor(const TensorSpec& tensor) {
    BoundTensor bound;
    bound.name = tensor.name;
    bound.direction = tensor.direction;
    bound.dtype = tensor.dtype;
    if (tensor.direction != Direction::in)
      bound.tolerance = task_.evidence.empty() ? tolerance_of(tensor) : kFinite;
    if (!bind_shape(tensor, bound, "tensor") || tensor.direction == Direction::out) return bound;
    const auto override = spec_.fills.find(tensor.name);
    const FillSpec& fill = override != spec_.fills.end() ? override->second : tensor.fill;
    bind_fill(tensor, fill, bound);
    return bound;
  }

  BoundTensor bind_evidence(const TensorSpec& tensor) {
    BoundTensor bound;
    bound.name = tensor.name;
    bound.direction = Direction::out;
    bound.dtype = tensor.dtype;
    bound.tolerance = tolerance_of(tensor);
    bind_shape(tensor, bound, "evidence");
    return bound;
  }

  Tolerance tolerance_of(const TensorSpec& tensor) {
    return tensor.tolerance ? bind_tolerance(*tensor.tolerance) : common_tolerance_;
  }

  Tolerance bind_tolerance(const ToleranceSpec& spec) {
    const auto bound = [&](const char* name, const std::string& expression) {
      const std::string key = fmt::format("{}: {}", spec.key, name);
      const Result<double> value = symbols_.evaluate(expression, true);
      if (!value) return complain(spec.line, key, value.error().message), 0.0;
      if (*value >= 0 && std::isfinite(*value)) return *value;
      complain(spec.line, key, fmt::format("is {}; allowed: finite numbers of at least 0", *value));
      return 0.0;
    };
    Tolerance tolerance;
    tolerance.atol = bound("atol", spec.atol);
    tolerance.rtol = bound("rtol", spec.rtol);
    if (spec.rel_frobenius) tolerance.rel_frobenius = bound("rel_frobenius", *spec.rel_frobenius);
    return tolerance;
  }

  bool bind_shape(const TensorSpec& tensor, BoundTensor& bound, std::string_view kind) {
    const std::string key = fmt::format("{} {}: shape", kind, tensor.name);
    uint64_t elements = 1;
    for (const std::string& expression : tensor.shape) {
      const Result<uint64_t> size = symbols_.evaluate_size(expression);
      if (!size) return complain(tensor.line, key, size.error().message), false;
      if (*size == 0 && tensor.direction != Direction::in)
        return complain(tensor.line, key,
                        fmt::format("{}: is 0, but an output needs at least one element",
                                    in_quotes(expression))),
               false;
      if (*size > kMostElements / std::max<uint64_t>(elements, 1))
        return complain(tensor.line, key, "makes more than 2^40 elements"), false;
      elements *= *size;
      bound.shape.push_back(*size);
    }
    bound.elements = elements;
    return true;
  }

  void bind_fill(const TensorSpec& tensor, const FillSpec& spec, BoundTensor& bound) {
    const std::string key = fmt::format("tensor {}: fill", tensor.name);
    uint32_t ordinal = static_cast<uint32_t>(&tensor - task_.tensors.data());
    if (!spec.like.empty()) {
      const TensorSpec* other = find_tensor(spec.like);
      if (!other || other->direction == Direction::out || other == &tensor)
        return complain(spec.line, key,
                        fmt::format("like: {} is not another input tensor; allowed: {}",
                                    in_quotes(spec.like), listed(filled_tensors())));
      ordinal = static_cast<uint32_t>(other - task_.tensors.data());
    }
    std::map<std::string, double> values;
    for (const auto& [parameter, expression] : spec.parameters) {
      const Result<double> value = symbols_.evaluate(expression, true);
      if (!value)
        return complain(spec.line, key, fmt::format("{}: {}", parameter, value.error().message));
      values[parameter] = *value;
    }
    const Result<Fill> fill = make_fill(spec.kind, tensor.dtype, bound.elements, ordinal, values);
    if (!fill) return complain(spec.line, key, fill.error().message);
    bound.fill = *fill;
  }

  BoundScalar bind_scalar(const ScalarSpec& scalar) {
    BoundScalar bound{scalar.name, scalar.dtype, 0, 0};
    const std::string key = fmt::format("scalar {}: value", scalar.name);
    const Result<double> value = symbols_.evaluate(scalar.value);
    if (!value) return complain(scalar.line, key, value.error().message), bound;
    if (is_floating(scalar.dtype)) {
      if (std::abs(*value) > largest(scalar.dtype))
        complain(scalar.line, key,
                 fmt::format("is {}, beyond the largest {}: {}", *value, name(scalar.dtype),
                             largest(scalar.dtype)));
      bound.real = rounded(scalar.dtype, *value);
      return bound;
    }
    const double limit = scalar.dtype == Dtype::i64 ? 9007199254740992.0 : largest(scalar.dtype);
    const bool fits = *value == std::floor(*value) && std::abs(*value) <= limit + 1 &&
                      rounded(scalar.dtype, *value) == *value;
    if (!fits)
      complain(scalar.line, key,
               fmt::format("is {}, which {} cannot hold; it takes whole numbers up to {}", *value,
                           name(scalar.dtype), limit));
    else
      bound.integer = static_cast<int64_t>(*value);
    return bound;
  }

  double work(const std::string& key, const std::string& expression) {
    const Result<double> value = symbols_.evaluate(expression);
    if (!value) return complain(task_.work.line, "work: " + key, value.error().message), 0;
    if (*value < 0) complain(task_.work.line, "work: " + key, fmt::format("is {}", *value));
    return *value;
  }

  const Task& task_;
  const CaseSpec& spec_;
  Problems& problems_;
  Expressions symbols_;
  Tolerance common_tolerance_;  // of outputs without their own
};

}  // namespace

BoundCase bind_collecting(const Task& task, const CaseSpec& spec, Problems& problems) {
  return Binder(task, spec, problems).run();
}

Result<BoundCase> bind(const Task& task, const CaseSpec& spec) {
  Problems problems;
  BoundCase bound = bind_collecting(task, spec, problems);
  if (!problems.none()) return problems.error(task.folder / "task.toml");
  return bound;
}

}  // namespace assay
