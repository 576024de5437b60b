// The CUDA toolkit and the host compiler that candidates are compiled with.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace assay {

/// Absolute paths with symbolic links resolved, as they are visible inside the sandbox too.
struct Toolchain {
  std::filesystem::path root;     // the CUDA home
  std::filesystem::path include;  // cuda_runtime.h; its folder cccl/ holds cub and libcu++
  std::filesystem::path nvcc, cudafe, cicc, ptxas;
  std::filesystem::path runtime;        // libcudart.so.13, to link launchers against
  std::filesystem::path nvrtc;          // libnvrtc.so.13; empty: not installed
  std::filesystem::path host_compiler;  // g++
  int cuda_major = 0, cuda_minor = 0, cuda_build = 0;
  std::string host_version;  // "12.2.0"

  /// "nvcc 13.0.88, nvrtc 13.0, g++ 12.2.0".
  std::string description() const;
  /// The host compiler's version as NVIDIA's front ends want it: 120200.
  int gnu_version() const;
};

/// The toolkit in `root`, which may be an installed toolkit or the folder that
/// cmake/fetch_cuda.sh makes. not_found names the first missing file.
Result<Toolchain> open_toolchain(const std::filesystem::path& root);

/// Looks in ASSAY_CUDA_HOME, beside nvcc on PATH, in /usr/local/cuda and in cache_folder()/cuda.
/// A set ASSAY_CUDA_HOME is the only place looked in. not_found says where was looked, what was
/// missing there and how to get a toolkit.
Result<Toolchain> find_toolchain();

}  // namespace assay
