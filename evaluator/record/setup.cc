#include "evaluator/record/setup.h"

#include <nlohmann/json.hpp>

namespace assay::recording {

namespace {

using nlohmann::json;

json kernel_json(const Kernel& kernel) {
  json parameters = json::array();
  for (const KernelParameter& parameter : kernel.parameters)
    parameters.push_back({parameter.offset, parameter.bytes});
  return {{"name", kernel.name},
          {"parameters", std::move(parameters)},
          {"registers", kernel.registers},
          {"stack_bytes", kernel.stack_bytes},
          {"static_shared_bytes", kernel.static_shared_bytes},
          {"max_threads", kernel.max_threads}};
}

Kernel kernel_from(const json& value) {
  Kernel kernel;
  value.at("name").get_to(kernel.name);
  for (const json& parameter : value.at("parameters"))
    kernel.parameters.push_back(
        {parameter.at(0).get<uint32_t>(), parameter.at(1).get<uint32_t>(), 1});
  value.at("registers").get_to(kernel.registers);
  value.at("stack_bytes").get_to(kernel.stack_bytes);
  value.at("static_shared_bytes").get_to(kernel.static_shared_bytes);
  value.at("max_threads").get_to(kernel.max_threads);
  return kernel;
}

}  // namespace

void to_json(json& value, const Setup& setup) {
  value = {{"base", setup.base},       {"clock_shift_s", setup.clock_shift_s},
           {"tensors", setup.tensors}, {"tensor_names", setup.tensor_names},
           {"scalars", setup.scalars}, {"device", setup.device},
           {"kernels", json::array()}, {"variables", json::array()}};
  for (const Kernel& kernel : setup.kernels) value["kernels"].push_back(kernel_json(kernel));
  for (const ModuleVariable& variable : setup.variables)
    value["variables"].push_back({{"name", variable.name}, {"bytes", variable.bytes}});
}

void from_json(const json& value, Setup& setup) {
  value.at("base").get_to(setup.base);
  value.at("clock_shift_s").get_to(setup.clock_shift_s);
  value.at("tensors").get_to(setup.tensors);
  value.at("tensor_names").get_to(setup.tensor_names);
  value.at("scalars").get_to(setup.scalars);
  value.at("device").get_to(setup.device);
  for (const json& kernel : value.at("kernels")) setup.kernels.push_back(kernel_from(kernel));
  for (const json& variable : value.at("variables"))
    setup.variables.push_back(
        {variable.at("name").get<std::string>(), variable.at("bytes").get<uint64_t>(), false});
}

}  // namespace assay::recording
