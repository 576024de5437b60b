#include "evaluator/device/profile.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace assay {

namespace {

double rate(const nlohmann::json& value) {
  const double number = value.get<double>();
  if (!std::isfinite(number) || number < 0)
    throw nlohmann::json::type_error::create(302, "a rate is not a positive number", &value);
  return number;
}

}  // namespace

void to_json(nlohmann::json& json, const DeviceProfile& profile) {
  json = {{"device", profile.device},
          {"source", profile.source},
          {"bytes_per_second", profile.bytes_per_second},
          {"per_second", profile.per_second},
          {"launch_us", profile.launch_us},
          {"l2_bytes", profile.l2_bytes}};
}

void from_json(const nlohmann::json& json, DeviceProfile& profile) {
  json.at("device").get_to(profile.device);
  json.at("source").get_to(profile.source);
  profile.bytes_per_second = rate(json.at("bytes_per_second"));
  profile.per_second.clear();
  for (const auto& [unit, value] : json.at("per_second").items())
    profile.per_second[unit] = rate(value);
  profile.launch_us = rate(json.at("launch_us"));
  json.at("l2_bytes").get_to(profile.l2_bytes);
}

}  // namespace assay
