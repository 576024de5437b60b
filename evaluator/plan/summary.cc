#include "evaluator/plan/summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace assay {

namespace {

using nlohmann::json;

json dimensions(const Dim3& dim) { return json::array({dim.x, dim.y, dim.z}); }

Dim3 dimensions(const json& value) {
  return {value.at(0).get<uint32_t>(), value.at(1).get<uint32_t>(), value.at(2).get<uint32_t>()};
}

void add_allocation(PlanSummary& summary, const Allocation& allocation) {
  switch (allocation.kind) {
    case Allocation::Kind::argument:
      ++summary.arguments;
      summary.argument_bytes += allocation.bytes;
      return;
    case Allocation::Kind::scratch:
      ++summary.scratch_buffers;
      summary.scratch_bytes += allocation.bytes;
      return;
    case Allocation::Kind::variable:
      ++summary.variables;
      summary.variable_bytes += allocation.bytes;
      return;
  }
}

void add_launch(PlanSummary& summary, const Launch& launch, std::span<const Kernel> kernels) {
  PlanSummary::Launches wanted{
      launch.kernel, launch.grid, launch.block, launch.cluster, launch.dynamic_shared_bytes, 0};
  const auto kernel = std::ranges::find(kernels, launch.kernel, &Kernel::name);
  if (kernel != kernels.end() && !kernel->demangled.empty()) wanted.kernel = kernel->demangled;
  for (PlanSummary::Launches& known : summary.launches) {
    wanted.count = known.count;
    if (known == wanted) {
      ++known.count;
      return;
    }
  }
  if (summary.launches.size() == PlanSummary::kMaxLaunches) {
    ++summary.launches_left_out;
    return;
  }
  wanted.count = 1;
  summary.launches.push_back(std::move(wanted));
}

}  // namespace

uint64_t PlanSummary::launch_count() const {
  uint64_t count = launches_left_out;
  for (const Launches& same : launches) count += same.count;
  return count;
}

PlanSummary summarise(const LaunchPlan& plan, std::span<const Kernel> kernels) {
  PlanSummary summary;
  for (const Allocation& allocation : plan.allocations) add_allocation(summary, allocation);
  std::set<uint32_t> streams;
  for (const Operation& operation : plan.operations) {
    streams.insert(operation.stream);
    if (const auto* launch = std::get_if<Launch>(&operation.action))
      add_launch(summary, *launch, kernels);
    else
      ++(std::holds_alternative<Memset>(operation.action) ? summary.memsets : summary.copies);
  }
  summary.streams = streams.size();
  return summary;
}

void to_json(json& result, const PlanSummary& summary) {
  json launches = json::array();
  for (const PlanSummary::Launches& same : summary.launches) {
    json entry = {{"kernel", same.kernel},
                  {"grid", dimensions(same.grid)},
                  {"block", dimensions(same.block)},
                  {"dynamic_shared_bytes", same.dynamic_shared_bytes},
                  {"count", same.count}};
    if (same.cluster != Dim3{0, 0, 0}) entry["cluster"] = dimensions(same.cluster);
    launches.push_back(std::move(entry));
  }
  result = {{"launches", std::move(launches)},
            {"launches_left_out", summary.launches_left_out},
            {"memsets", summary.memsets},
            {"copies", summary.copies},
            {"streams", summary.streams},
            {"arguments", summary.arguments},
            {"argument_bytes", summary.argument_bytes},
            {"scratch_buffers", summary.scratch_buffers},
            {"scratch_bytes", summary.scratch_bytes},
            {"variables", summary.variables},
            {"variable_bytes", summary.variable_bytes}};
}

Result<PlanSummary> parse_plan_summary(const std::string& json_text) {
  PlanSummary summary;
  try {
    const json value = json::parse(json_text);
    for (const json& entry : value.at("launches")) {
      PlanSummary::Launches& same = summary.launches.emplace_back();
      entry.at("kernel").get_to(same.kernel);
      same.grid = dimensions(entry.at("grid"));
      same.block = dimensions(entry.at("block"));
      if (entry.contains("cluster")) same.cluster = dimensions(entry.at("cluster"));
      entry.at("dynamic_shared_bytes").get_to(same.dynamic_shared_bytes);
      entry.at("count").get_to(same.count);
    }
    value.at("launches_left_out").get_to(summary.launches_left_out);
    value.at("memsets").get_to(summary.memsets);
    value.at("copies").get_to(summary.copies);
    value.at("streams").get_to(summary.streams);
    value.at("arguments").get_to(summary.arguments);
    value.at("argument_bytes").get_to(summary.argument_bytes);
    value.at("scratch_buffers").get_to(summary.scratch_buffers);
    value.at("scratch_bytes").get_to(summary.scratch_bytes);
    value.at("variables").get_to(summary.variables);
    value.at("variable_bytes").get_to(summary.variable_bytes);
  } catch (const json::exception& exception) {
    return Error{ErrorKind::invalid,
                 std::string("a stored plan summary cannot be read: ") + exception.what()};
  }
  return summary;
}

}  // namespace assay
