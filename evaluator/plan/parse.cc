// The plan's JSON form back into a LaunchPlan. The text is untrusted: every value is checked for
// kind and bounds before it is used, unknown members are refused, and all counts are limited
// (limits.h). Errors say where: "launch plan: operations[3].launch.grid: ...".
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

#include "evaluator/plan/form.h"
#include "evaluator/plan/limits.h"
#include "evaluator/plan/plan.h"

namespace assay {

namespace {

using nlohmann::json;
namespace limits = plan_limits;

/// Thrown and caught in this file only.
struct Malformed {
  std::string message;
};

/// A JSON value and the path that led to it.
class Node {
 public:
  Node(const json& value, std::string path) : value_(value), path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw Malformed{path_.empty() ? why : path_ + ": " + why};
  }

  bool has(const char* key) const { return value_.contains(key); }

  Node at(const char* key) const {
    require_object();
    const auto found = value_.find(key);
    if (found == value_.end()) refuse(fmt::format("'{}' is missing", key));
    return Node(*found, path_.empty() ? key : path_ + "." + key);
  }

  /// Refuses members with other names, so that a misspelt one is not silently ignored.
  void allow(std::initializer_list<std::string_view> keys) const {
    require_object();
    for (const auto& item : value_.items())
      if (std::find(keys.begin(), keys.end(), item.key()) == keys.end())
        refuse(fmt::format("unknown member '{}'", item.key().substr(0, 40)));
  }

  size_t size(size_t most) const {
    if (!value_.is_array()) refuse("must be a list");
    if (value_.size() > most)
      refuse(fmt::format("{} entries, at most {} are allowed", value_.size(), most));
    return value_.size();
  }

  Node operator[](size_t index) const {
    return Node(value_[index], fmt::format("{}[{}]", path_, index));
  }

  uint64_t number(uint64_t most = std::numeric_limits<uint64_t>::max()) const {
    if (!value_.is_number_unsigned()) refuse("must be a whole number from 0");
    const auto number = value_.get<uint64_t>();
    if (number > most) refuse(fmt::format("{} is above the limit of {}", number, most));
    return number;
  }

  uint32_t number32() const {
    return static_cast<uint32_t>(number(std::numeric_limits<uint32_t>::max()));
  }

  int64_t signed_number(int64_t bound) const {
    if (value_.is_number_unsigned()) return static_cast<int64_t>(number(uint64_t(bound)));
    if (!value_.is_number_integer()) refuse("must be a whole number");
    const auto number = value_.get<int64_t>();
    if (number < -bound) refuse(fmt::format("{} is below the limit of {}", number, -bound));
    return number;
  }

  bool flag() const {
    if (!value_.is_boolean()) refuse("must be true or false");
    return value_.get<bool>();
  }

  const std::string& text(size_t most_bytes) const {
    if (!value_.is_string()) refuse("must be text");
    const auto& text = value_.get_ref<const std::string&>();
    if (text.size() > most_bytes)
      refuse(fmt::format("{} bytes, at most {} are allowed", text.size(), most_bytes));
    return text;
  }

  std::string bytes(size_t most_bytes) const {
    const std::string& digits = text(most_bytes * 2);
    if (digits.size() % 2 != 0) refuse("an odd number of hexadecimal digits");
    std::string bytes;
    bytes.reserve(digits.size() / 2);
    for (size_t i = 0; i < digits.size(); i += 2)
      bytes += static_cast<char>(digit(digits[i]) << 4 | digit(digits[i + 1]));
    return bytes;
  }

 private:
  void require_object() const {
    if (!value_.is_object()) refuse("must be an object");
  }

  int digit(char letter) const {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    refuse("must be lower-case hexadecimal digits");
  }

  const json& value_;
  std::string path_;
};

/// What all parts of one plan together use up.
struct Totals {
  size_t dependencies = 0;
  size_t parameter_bytes = 0;
  size_t literal_bytes = 0;
};

Dim3 parse_dimensions(const Node& node) {
  if (node.size(3) != 3) node.refuse("must have three entries");
  return {node[0].number32(), node[1].number32(), node[2].number32()};
}

Location parse_location(const Node& node) {
  node.allow({"allocation", "offset"});
  return {node.at("allocation").number32(), node.at("offset").signed_number(int64_t{1} << 48)};
}

Allocation parse_allocation(const Node& node) {
  node.allow({"kind", "bytes", "index", "name"});
  Allocation allocation;
  allocation.bytes = node.at("bytes").number(limits::kAllocationBytes);
  const std::string& kind = node.at("kind").text(16);
  if (kind == plan_form::name(Allocation::Kind::argument)) {
    allocation.kind = Allocation::Kind::argument;
    allocation.index = node.at("index").number32();
  } else if (kind == plan_form::name(Allocation::Kind::variable)) {
    allocation.kind = Allocation::Kind::variable;
  } else if (kind != plan_form::name(Allocation::Kind::scratch)) {
    node.refuse("'kind' must be argument, scratch or variable");
  }
  if (node.has("name")) allocation.name = node.at("name").text(limits::kNameBytes);
  return allocation;
}

template <typename T, size_t N>
void parse_values(const Node& node, size_t count, std::array<T, N>& values) {
  if (node.size(N) != count) node.refuse(fmt::format("must have {} entries", count));
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(node[i].number(std::numeric_limits<T>::max()));
}

TensorMap parse_tensor_map(const Node& node) {
  node.allow({"offset", "base", "data_type", "rank", "dimensions", "strides_bytes", "box",
              "element_strides", "interleave", "swizzle", "l2_promotion", "oob_fill"});
  TensorMap map;
  map.offset = node.at("offset").number32();
  map.base = parse_location(node.at("base"));
  map.data_type = node.at("data_type").number32();
  map.rank = static_cast<uint32_t>(node.at("rank").number(5));
  if (map.rank == 0) node.refuse("'rank' must be 1 to 5");
  parse_values(node.at("dimensions"), map.rank, map.dimensions);
  parse_values(node.at("strides_bytes"), map.rank - 1, map.strides_bytes);
  parse_values(node.at("box"), map.rank, map.box);
  parse_values(node.at("element_strides"), map.rank, map.element_strides);
  map.interleave = node.at("interleave").number32();
  map.swizzle = node.at("swizzle").number32();
  map.l2_promotion = node.at("l2_promotion").number32();
  map.oob_fill = node.at("oob_fill").number32();
  return map;
}

Launch parse_launch(const Node& node, Totals& totals) {
  node.allow({"kernel", "grid", "block", "dynamic_shared_bytes", "parameters", "relocations",
              "tensor_maps", "cluster", "cooperative", "programmatic"});
  Launch launch;
  launch.kernel = node.at("kernel").text(limits::kNameBytes);
  launch.grid = parse_dimensions(node.at("grid"));
  launch.block = parse_dimensions(node.at("block"));
  launch.dynamic_shared_bytes = node.at("dynamic_shared_bytes").number32();
  launch.parameters = node.at("parameters").bytes(limits::kParameterBytes);
  totals.parameter_bytes += launch.parameters.size();
  if (totals.parameter_bytes > limits::kParameterBytesTotal)
    node.refuse("the launches of the plan have too many bytes of parameters");
  const Node relocations = node.at("relocations");
  for (size_t i = 0, n = relocations.size(limits::kParameterBytes / 8); i < n; ++i) {
    relocations[i].allow({"offset", "target"});
    launch.relocations.push_back(
        {relocations[i].at("offset").number32(), parse_location(relocations[i].at("target"))});
  }
  if (node.has("tensor_maps")) {
    const Node maps = node.at("tensor_maps");
    const size_t most = limits::kParameterBytes / limits::kTensorMapBytes;
    for (size_t i = 0, n = maps.size(most); i < n; ++i)
      launch.tensor_maps.push_back(parse_tensor_map(maps[i]));
  }
  if (node.has("cluster")) launch.cluster = parse_dimensions(node.at("cluster"));
  if (node.has("cooperative")) launch.cooperative = node.at("cooperative").flag();
  if (node.has("programmatic")) launch.programmatic = node.at("programmatic").flag();
  return launch;
}

Memset parse_memset(const Node& node) {
  node.allow({"target", "value", "element_bytes", "width_bytes", "height", "pitch_bytes"});
  Memset memset;
  memset.target = parse_location(node.at("target"));
  memset.value = node.at("value").number32();
  memset.element_bytes = node.at("element_bytes").number32();
  memset.width_bytes = node.at("width_bytes").number(limits::kAllocationBytes);
  if (node.has("height")) memset.height = node.at("height").number(limits::kCopyRows);
  if (node.has("pitch_bytes"))
    memset.pitch_bytes = node.at("pitch_bytes").number(limits::kAllocationBytes);
  return memset;
}

Copy parse_copy(const Node& node, Totals& totals) {
  node.allow({"target", "source", "literal", "width_bytes", "height", "target_pitch_bytes",
              "source_pitch_bytes"});
  Copy copy;
  copy.target = parse_location(node.at("target"));
  copy.width_bytes = node.at("width_bytes").number(limits::kAllocationBytes);
  if (node.has("source") == node.has("literal")) node.refuse("needs either 'source' or 'literal'");
  if (node.has("source")) copy.source = parse_location(node.at("source"));
  if (node.has("literal")) {
    copy.literal = node.at("literal").bytes(limits::kLiteralBytesTotal);
    totals.literal_bytes += copy.literal.size();
    if (copy.literal.empty()) node.refuse("'literal' is empty");
    if (totals.literal_bytes > limits::kLiteralBytesTotal)
      node.refuse("the literals of the plan have too many bytes");
  }
  if (node.has("height")) copy.height = node.at("height").number(limits::kCopyRows);
  if (node.has("target_pitch_bytes"))
    copy.target_pitch_bytes = node.at("target_pitch_bytes").number(limits::kAllocationBytes);
  if (node.has("source_pitch_bytes"))
    copy.source_pitch_bytes = node.at("source_pitch_bytes").number(limits::kAllocationBytes);
  return copy;
}

Dtype parse_dtype(const Node& node) {
  const auto dtype = dtype_from_name(node.text(16));
  if (!dtype) node.refuse("is no element type");
  return *dtype;
}

ElementCopy parse_element_copy(const Node& node) {
  node.allow({"target", "target_dtype", "target_strides", "source", "source_dtype",
              "source_strides", "shape"});
  ElementCopy copy;
  copy.target = parse_location(node.at("target"));
  copy.source = parse_location(node.at("source"));
  ElementGrid& elements = copy.elements;
  elements.target_dtype = parse_dtype(node.at("target_dtype"));
  elements.source_dtype = parse_dtype(node.at("source_dtype"));
  const Node shape = node.at("shape");
  elements.rank = static_cast<uint32_t>(shape.size(ElementGrid::kMaxRank));
  const auto by_axis = [&elements](const Node& values, uint64_t* parsed) {
    if (values.size(ElementGrid::kMaxRank) != elements.rank)
      values.refuse(fmt::format("must have {} entries", elements.rank));
    for (uint32_t axis = 0; axis < elements.rank; ++axis)
      parsed[axis] = values[axis].number(limits::kAllocationBytes);
  };
  by_axis(shape, elements.shape);
  by_axis(node.at("target_strides"), elements.target_strides);
  by_axis(node.at("source_strides"), elements.source_strides);
  return copy;
}

Operation parse_operation(const Node& node, Totals& totals) {
  node.allow({"launch", "memset", "copy", "element_copy", "depends_on", "stream"});
  Operation operation;
  if (node.has("launch") + node.has("memset") + node.has("copy") + node.has("element_copy") != 1)
    node.refuse("needs exactly one of 'launch', 'memset', 'copy' and 'element_copy'");
  if (node.has("launch")) operation.action = parse_launch(node.at("launch"), totals);
  if (node.has("memset")) operation.action = parse_memset(node.at("memset"));
  if (node.has("copy")) operation.action = parse_copy(node.at("copy"), totals);
  if (node.has("element_copy")) operation.action = parse_element_copy(node.at("element_copy"));
  const Node dependencies = node.at("depends_on");
  const size_t count = dependencies.size(limits::kOperations);
  totals.dependencies += count;
  if (totals.dependencies > limits::kDependencies)
    dependencies.refuse("the plan has too many dependencies");
  for (size_t i = 0; i < count; ++i) operation.depends_on.push_back(dependencies[i].number32());
  operation.stream = node.at("stream").number32();
  return operation;
}

LaunchPlan parse_document(const Node& node) {
  node.allow({"format", "version", "allocations", "operations"});
  if (node.at("format").text(64) != plan_form::kFormat)
    node.refuse(fmt::format("'format' is not \"{}\"", plan_form::kFormat));
  if (node.at("version").number() != plan_form::kVersion)
    node.refuse(fmt::format("'version' is not {}", plan_form::kVersion));
  LaunchPlan plan;
  const Node allocations = node.at("allocations");
  for (size_t i = 0, n = allocations.size(limits::kAllocations); i < n; ++i)
    plan.allocations.push_back(parse_allocation(allocations[i]));
  const Node operations = node.at("operations");
  Totals totals;
  for (size_t i = 0, n = operations.size(limits::kOperations); i < n; ++i)
    plan.operations.push_back(parse_operation(operations[i], totals));
  return plan;
}

/// nlohmann's reader keeps open brackets on the heap, but deep nesting is never a plan.
bool too_deep(const std::string& text) {
  constexpr int kDepth = 16;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (in_string) {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == '"')
        in_string = false;
    } else if (text[i] == '"') {
      in_string = true;
    } else if (text[i] == '[' || text[i] == '{') {
      if (++depth > kDepth) return true;
    } else if (text[i] == ']' || text[i] == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<LaunchPlan> parse_plan(const std::string& json_text) {
  const auto invalid = [](const std::string& why) {
    return Error{ErrorKind::invalid, "launch plan: " + why};
  };
  if (json_text.size() > limits::kPlanTextBytes)
    return invalid(fmt::format("{} bytes of text, at most {} are allowed", json_text.size(),
                               limits::kPlanTextBytes));
  if (too_deep(json_text)) return invalid("nested too deeply");
  const json document = json::parse(json_text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return invalid("not valid JSON");
  try {
    return parse_document(Node(document, ""));
  } catch (const Malformed& malformed) {
    return invalid(malformed.message);
  }
}

}  // namespace assay
