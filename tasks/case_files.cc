// A case on disk: .npy files and the manifest.json that says what they are.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "tasks/npy.h"

namespace assay {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

const char* name_of(Direction direction) {
  return direction == Direction::in ? "in" : direction == Direction::out ? "out" : "inout";
}

/// How the elements lie in the .npy file, where NumPy's type does not say it all.
std::string stored_as(Dtype dtype) {
  switch (dtype) {
    case Dtype::bf16:
    case Dtype::e4m3:
    case Dtype::e5m2:
      return fmt::format("raw bits of {}", name(dtype));
    case Dtype::tf32:
      return "f32 with the low 13 mantissa bits zero";
    default:
      return "values";
  }
}

ordered_json describe(const Tolerance& tolerance) {
  ordered_json json = {{"atol", tolerance.atol}, {"rtol", tolerance.rtol}};
  if (tolerance.rel_frobenius) json["rel_frobenius"] = *tolerance.rel_frobenius;
  return json;
}

/// Writes the tensor's file of one kind, if there are bytes for it, and notes its name.
Result<void> write_one(const fs::path& folder, const BoundTensor& tensor, const char* kind,
                       const std::map<std::string, std::string>& data, ordered_json& files) {
  const auto found = data.find(tensor.name);
  if (found == data.end()) return {};
  const std::string file = fmt::format("{}.{}.npy", tensor.name, kind);
  RETURN_IF_ERROR(write_npy(folder / file, tensor.dtype, tensor.shape, found->second));
  files[kind] = file;
  return {};
}

Result<ordered_json> write_tensor(const fs::path& folder, const BoundTensor& tensor,
                                  const CaseBytes& bytes) {
  ordered_json files = ordered_json::object();
  RETURN_IF_ERROR(write_one(folder, tensor, "input", bytes.inputs, files));
  RETURN_IF_ERROR(write_one(folder, tensor, "expected", bytes.expected, files));
  RETURN_IF_ERROR(write_one(folder, tensor, "output", bytes.outputs, files));
  ordered_json json = {{"name", tensor.name},
                       {"direction", name_of(tensor.direction)},
                       {"dtype", name(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"npy_dtype", npy_descr(tensor.dtype)},
                       {"stored_as", stored_as(tensor.dtype)},
                       {"files", files}};
  if (tensor.direction != Direction::in && std::isfinite(tensor.tolerance.atol))
    json["tolerance"] = describe(tensor.tolerance);
  return json;
}

ordered_json describe(const BoundScalar& scalar) {
  ordered_json json = {{"name", scalar.name}, {"dtype", name(scalar.dtype)}};
  if (is_floating(scalar.dtype))
    json["value"] = scalar.real;
  else
    json["value"] = scalar.integer;
  return json;
}

}  // namespace

Result<void> write_case(const BoundCase& bound, const CaseBytes& bytes,
                        std::optional<uint64_t> seed, const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    return Error{ErrorKind::io,
                 fmt::format("cannot create the folder {}: {}", folder.string(), failed.message())};
  ordered_json manifest = {{"task", bound.task_id},
                           {"case", bound.case_name},
                           {"role", bound.role == Role::test ? "test" : "timed"},
                           {"tensors", ordered_json::array()},
                           {"scalars", ordered_json::array()}};
  const auto write = [&](const std::vector<BoundTensor>& tensors,
                         const char* list) -> Result<void> {
    for (const BoundTensor& tensor : tensors) {
      ASSIGN_OR_RETURN(ordered_json json, write_tensor(folder, tensor, bytes));
      manifest[list].push_back(std::move(json));
    }
    return {};
  };
  RETURN_IF_ERROR(write(bound.tensors, "tensors"));
  RETURN_IF_ERROR(write(bound.evidence, "evidence"));
  for (const BoundScalar& scalar : bound.scalars) manifest["scalars"].push_back(describe(scalar));
  if (seed) manifest["seed"] = *seed;
  return write_file(folder / "manifest.json", manifest.dump(2) + "\n");
}

}  // namespace assay
