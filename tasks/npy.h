// Tensors and whole cases as NumPy files (.npy format version 1.0), to be looked at with
// numpy.load().
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tasks/task.h"

namespace assay {

/// NumPy's name of the dtype as it is stored: "<f4", "|i1". NumPy has no bf16, e4m3 and e5m2; these
/// are stored as their raw bits, "<u2" and "|u1".
std::string_view npy_descr(Dtype dtype);

/// Everything before the data: magic, version and a header padded to a multiple of 64 bytes.
std::string npy_header(Dtype dtype, const std::vector<uint64_t>& shape);

/// Writes a tensor in row-major order. `bytes` are its elements, little-endian as in memory.
Result<void> write_npy(const std::filesystem::path& path, Dtype dtype,
                       const std::vector<uint64_t>& shape, std::string_view bytes);

/// Bytes of tensors by name; tensors that are absent are not written.
struct CaseBytes {
  std::map<std::string, std::string> inputs;    // before solve()
  std::map<std::string, std::string> expected;  // the reference's outputs
  std::map<std::string, std::string> outputs;   // a candidate's
};

/// Creates `folder` where needed and writes <tensor>.input.npy, <tensor>.expected.npy,
/// <tensor>.output.npy and manifest.json (docs/task-format.md describes it). The seed is written
/// only if given: it belongs to whoever asked for it, otherwise it is secret.
Result<void> write_case(const BoundCase& bound, const CaseBytes& bytes,
                        std::optional<uint64_t> seed, const std::filesystem::path& folder);

}  // namespace assay
