// Theory of operation
//
// A launch plan is all that is left of a candidate's host code: the list of what it asked the GPU
// to do. It passes through three hands, and each has its file here:
//
//   plan.cc      the stable JSON form (what --keep-plan writes, docs/launch-plan.md; digest.cc
//   hashes
//                it);
//   parse.cc     the way back from JSON, for text that nobody vouches for;
//   validate.cc  the plan against the artifact, the case and the device.
//
// The JSON form is stable: equal plans give equal text. Objects are written with sorted keys,
// members at their default value are left out, bytes are hexadecimal. The digest is the SHA-256 of
// that text, so it is equal on all machines and for all runs.
//
// A plan never holds an address. It names allocations by their number in `allocations`; operations
// name earlier operations by their number in `operations`. parse_plan() accepts only what is well
// formed in itself (counts, sizes, kinds); whether numbers point at something that exists and
// fits is the business of validate(), which every plan passes before a device sees it, wherever
// the plan came from.
#include "evaluator/plan/plan.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "evaluator/plan/form.h"

namespace assay {

namespace {

using nlohmann::json;

json dimensions(const Dim3& dim) { return json::array({dim.x, dim.y, dim.z}); }

json location(const Location& location) {
  return {{"allocation", location.allocation}, {"offset", location.offset}};
}

json allocation(const Allocation& allocation) {
  json value = {{"kind", plan_form::name(allocation.kind)}, {"bytes", allocation.bytes}};
  if (allocation.kind == Allocation::Kind::argument) value["index"] = allocation.index;
  if (!allocation.name.empty()) value["name"] = allocation.name;
  return value;
}

json tensor_map(const TensorMap& map) {
  const auto first = [&map](const auto& values, size_t count) {
    return json(
        std::vector<uint64_t>(values.begin(), values.begin() + std::min<size_t>(count, map.rank)));
  };
  return {{"offset", map.offset},
          {"base", location(map.base)},
          {"data_type", map.data_type},
          {"rank", map.rank},
          {"dimensions", first(map.dimensions, 5)},
          {"strides_bytes", first(map.strides_bytes, map.rank > 0 ? map.rank - 1 : 0)},
          {"box", first(map.box, 5)},
          {"element_strides", first(map.element_strides, 5)},
          {"interleave", map.interleave},
          {"swizzle", map.swizzle},
          {"l2_promotion", map.l2_promotion},
          {"oob_fill", map.oob_fill}};
}

json action(const Launch& launch) {
  json value = {{"kernel", launch.kernel},
                {"grid", dimensions(launch.grid)},
                {"block", dimensions(launch.block)},
                {"dynamic_shared_bytes", launch.dynamic_shared_bytes},
                {"parameters", plan_form::to_hex(launch.parameters)}};
  json& relocations = value["relocations"] = json::array();
  for (const Relocation& relocation : launch.relocations)
    relocations.push_back({{"offset", relocation.offset}, {"target", location(relocation.target)}});
  if (!launch.tensor_maps.empty()) {
    json& maps = value["tensor_maps"] = json::array();
    for (const TensorMap& map : launch.tensor_maps) maps.push_back(tensor_map(map));
  }
  if (launch.cluster != Dim3{0, 0, 0}) value["cluster"] = dimensions(launch.cluster);
  if (launch.cooperative) value["cooperative"] = true;
  if (launch.programmatic) value["programmatic"] = true;
  return {{"launch", std::move(value)}};
}

json action(const Memset& memset) {
  json value = {{"target", location(memset.target)},
                {"value", memset.value},
                {"element_bytes", memset.element_bytes},
                {"width_bytes", memset.width_bytes}};
  if (memset.height != 1) value["height"] = memset.height;
  if (memset.pitch_bytes != 0) value["pitch_bytes"] = memset.pitch_bytes;
  return {{"memset", std::move(value)}};
}

json action(const Copy& copy) {
  json value = {{"target", location(copy.target)}, {"width_bytes", copy.width_bytes}};
  if (copy.literal.empty())
    value["source"] = location(copy.source);
  else
    value["literal"] = plan_form::to_hex(copy.literal);
  if (copy.height != 1) value["height"] = copy.height;
  if (copy.target_pitch_bytes != 0) value["target_pitch_bytes"] = copy.target_pitch_bytes;
  if (copy.source_pitch_bytes != 0) value["source_pitch_bytes"] = copy.source_pitch_bytes;
  return {{"copy", std::move(value)}};
}

json action(const ElementCopy& copy) {
  const ElementGrid& elements = copy.elements;
  const auto by_axis = [&elements](const uint64_t* values) {
    return json(std::vector<uint64_t>(values, values + elements.rank));
  };
  return {{"element_copy",
           {{"target", location(copy.target)},
            {"target_dtype", name(elements.target_dtype)},
            {"target_strides", by_axis(elements.target_strides)},
            {"source", location(copy.source)},
            {"source_dtype", name(elements.source_dtype)},
            {"source_strides", by_axis(elements.source_strides)},
            {"shape", by_axis(elements.shape)}}}};
}

}  // namespace

void to_json(json& result, const LaunchPlan& plan) {
  result = {{"format", plan_form::kFormat}, {"version", plan_form::kVersion}};
  json& allocations = result["allocations"] = json::array();
  for (const Allocation& entry : plan.allocations) allocations.push_back(allocation(entry));
  json& operations = result["operations"] = json::array();
  for (const Operation& operation : plan.operations) {
    json entry = std::visit([](const auto& value) { return action(value); }, operation.action);
    entry["depends_on"] = operation.depends_on;
    entry["stream"] = operation.stream;
    operations.push_back(std::move(entry));
  }
}

namespace plan_form {

std::string_view name(Allocation::Kind kind) {
  switch (kind) {
    case Allocation::Kind::argument:
      return "argument";
    case Allocation::Kind::scratch:
      return "scratch";
    case Allocation::Kind::variable:
      return "variable";
  }
  return "scratch";
}

std::string to_hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

}  // namespace plan_form

}  // namespace assay
