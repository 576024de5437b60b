// BoundCase as JSON, for the runner process. The round trip is exact.
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tasks/fill_kinds.h"
#include "tasks/task.h"

namespace assay {

using nlohmann::json;

namespace {

/// JSON has no infinities and no NaN: they become text.
json from_number(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double to_number(const json& value) {
  if (!value.is_string()) return value.get<double>();
  const std::string text = value.get<std::string>();
  if (text == "inf") return std::numeric_limits<double>::infinity();
  if (text == "-inf") return -std::numeric_limits<double>::infinity();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw json::other_error::create(501, "not a number: " + text, &value);
}

/// The value that `lookup` finds for the name in `value`.
template <typename Lookup>
auto named(const json& value, Lookup lookup) {
  const auto found = lookup(value.get<std::string>());
  if (!found) throw json::other_error::create(501, "unknown name " + value.dump(), &value);
  return *found;
}

const char* name_of(Direction direction) {
  switch (direction) {
    case Direction::in:
      return "in";
    case Direction::out:
      return "out";
    case Direction::inout:
      return "inout";
  }
  return "in";
}

std::optional<Direction> direction_from_name(const std::string& text) {
  for (const Direction direction : {Direction::in, Direction::out, Direction::inout})
    if (text == name_of(direction)) return direction;
  return std::nullopt;
}

json from_fill(const Fill& fill) {
  return {{"kind", name(fill.kind)},
          {"dtype", name(fill.dtype)},
          {"ordinal", fill.ordinal},
          {"elements", fill.elements},
          {"row", fill.row},
          {"parameters",
           {from_number(fill.a), from_number(fill.b), from_number(fill.c), from_number(fill.d),
            from_number(fill.e)}},
          {"grid", from_number(fill.grid)},
          {"replace", from_number(fill.replace)},
          {"with", from_number(fill.with)},
          {"replace_row", fill.replace_row}};
}

Fill to_fill(const json& value) {
  Fill fill;
  fill.kind = named(value.at("kind"), fill_kind_from_name);
  fill.dtype = named(value.at("dtype"), dtype_from_name);
  fill.ordinal = value.at("ordinal");
  fill.elements = value.at("elements");
  fill.row = value.at("row");
  const json& parameters = value.at("parameters");
  fill.a = to_number(parameters.at(0));
  fill.b = to_number(parameters.at(1));
  fill.c = to_number(parameters.at(2));
  fill.d = to_number(parameters.at(3));
  fill.e = to_number(parameters.at(4));
  fill.grid = to_number(value.at("grid"));
  fill.replace = to_number(value.at("replace"));
  fill.with = to_number(value.at("with"));
  fill.replace_row = value.at("replace_row");
  return fill;
}

json from_tolerance(const Tolerance& tolerance) {
  json result = {{"atol", from_number(tolerance.atol)}, {"rtol", tolerance.rtol}};
  if (tolerance.rel_frobenius) result["rel_frobenius"] = *tolerance.rel_frobenius;
  return result;
}

Tolerance to_tolerance(const json& value) {
  Tolerance tolerance;
  tolerance.atol = to_number(value.at("atol"));
  tolerance.rtol = value.at("rtol");
  if (value.contains("rel_frobenius"))
    tolerance.rel_frobenius = value.at("rel_frobenius").get<double>();
  return tolerance;
}

json from_tensor(const BoundTensor& tensor) {
  json result = {{"name", tensor.name},         {"direction", name_of(tensor.direction)},
                 {"dtype", name(tensor.dtype)}, {"shape", tensor.shape},
                 {"elements", tensor.elements}, {"tolerance", from_tolerance(tensor.tolerance)}};
  if (tensor.direction != Direction::out) result["fill"] = from_fill(tensor.fill);
  return result;
}

BoundTensor to_tensor(const json& value) {
  BoundTensor tensor;
  tensor.name = value.at("name");
  tensor.direction = named(value.at("direction"), direction_from_name);
  tensor.dtype = named(value.at("dtype"), dtype_from_name);
  tensor.shape = value.at("shape").get<std::vector<uint64_t>>();
  tensor.elements = value.at("elements");
  tensor.tolerance = to_tolerance(value.at("tolerance"));
  if (tensor.direction != Direction::out) tensor.fill = to_fill(value.at("fill"));
  return tensor;
}

}  // namespace

void to_json(json& value, const BoundCase& bound) {
  value = {{"task", bound.task_id},
           {"case", bound.case_name},
           {"role", bound.role == Role::test ? "test" : "timed"},
           {"tensors", json::array()},
           {"scalars", json::array()},
           {"flops", bound.flops},
           {"bytes", bound.bytes}};
  for (const BoundTensor& tensor : bound.tensors) value["tensors"].push_back(from_tensor(tensor));
  for (const BoundTensor& tensor : bound.evidence) value["evidence"].push_back(from_tensor(tensor));
  for (const BoundScalar& scalar : bound.scalars)
    value["scalars"].push_back({{"name", scalar.name},
                                {"dtype", name(scalar.dtype)},
                                {"real", from_number(scalar.real)},
                                {"integer", scalar.integer}});
}

void from_json(const json& value, BoundCase& bound) {
  bound = BoundCase{};
  bound.task_id = value.at("task");
  bound.case_name = value.at("case");
  bound.role = value.at("role") == "timed" ? Role::timed : Role::test;
  for (const json& tensor : value.at("tensors")) bound.tensors.push_back(to_tensor(tensor));
  for (const json& tensor : value.value("evidence", json::array()))
    bound.evidence.push_back(to_tensor(tensor));
  for (const json& scalar : value.at("scalars"))
    bound.scalars.push_back(BoundScalar{scalar.at("name"),
                                        named(scalar.at("dtype"), dtype_from_name),
                                        to_number(scalar.at("real")), scalar.at("integer")});
  bound.flops = value.at("flops");
  bound.bytes = value.at("bytes");
}

}  // namespace assay
