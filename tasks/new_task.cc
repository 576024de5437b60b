#include "tasks/new_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/files.h"
#include "base/install.h"
#include "tasks/nearest.h"

namespace assay {

namespace fs = std::filesystem;

namespace {

constexpr const char* kTaskToml = R"(# docs/task-format.md explains every key.
id = "@ID@"
title = "@ID@: scaled vector sum"
source = "where the task comes from: a paper, a library, a workload"
level = 1 # 1 one pass, 2 reductions or irregular access, 3 tiles or several kernels, 4 fused

# One [[tensor]] for each pointer argument of solve(), in this order.
[[tensor]]
name = "x"
direction = "in"
dtype = "f32"
shape = ["n"]
fill = { kind = "normal" }
description = "the vector that is scaled"

[[tensor]]
name = "y"
direction = "inout"
dtype = "f32"
shape = ["n"]
fill = { kind = "normal", mean = 1 }
description = "the vector that is added to, and the result"

# One [[scalar]] for each value argument, after all pointers.
[[scalar]]
name = "alpha"
dtype = "f32"
value = 1.5
description = "the factor"

[[scalar]]
name = "n"
dtype = "i32"
value = "n"
description = "elements of x and y"

[tolerance]
atol = 1e-6
rtol = 1e-6
reason = "two roundings of f32, where the reference rounds once"

[work]
flops = "2 * n"
bytes = "12 * n" # x and y are read once, y is written once
unit = "fp32"

# Small first: tiny, ragged (no multiple of a block), stress inputs; then what is timed.
[[case]]
name = "tiny"
role = "test"
symbols = { n = 7 }

[[case]]
name = "ragged"
role = "test"
symbols = { n = 10007 }

[[case]]
name = "outliers"
role = "test"
symbols = { n = 4096 }
[case.fill]
x = { kind = "outliers", fraction = 0.01, scale = 1000 }

[[case]]
name = "large"
role = "timed"
symbols = { n = 67108864 }
)";

constexpr const char* kStatement = R"(# @ID@: scaled vector sum

For every `0 <= i < n` compute

    y[i] = alpha * x[i] + y[i]

`x` and `y` are vectors of `n` floats in device memory. `y` is read and overwritten.
)";

constexpr const char* kReference = R"(// The oracle: plain, in double, one thread an output.
#include <cuda_runtime.h>

__global__ void reference(const float* x, float* y, float alpha, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = static_cast<float>(static_cast<double>(alpha) * x[i] + y[i]);
}

extern "C" void solve(const float* x, float* y, float alpha, int n, cudaStream_t stream) {
  reference<<<(n + 255) / 256, 256, 0, stream>>>(x, y, alpha, n);
}
)";

constexpr const char* kNaive = R"(// The textbook kernel, against which speedups are measured.
#include <cuda_runtime.h>

__global__ void naive(const float* x, float* y, float alpha, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = alpha * x[i] + y[i];
}

extern "C" void solve(const float* x, float* y, float alpha, int n, cudaStream_t stream) {
  naive<<<(n + 255) / 256, 256, 0, stream>>>(x, y, alpha, n);
}
)";

constexpr const char* kExpert =
    R"(// What a specialist would write: 16-byte accesses, and a scalar tail.
#include <cuda_runtime.h>

__global__ void expert(const float* x, float* y, float alpha, int n) {
  const int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  if (i + 3 < n) {
    const float4 a = *reinterpret_cast<const float4*>(x + i);
    float4 b = *reinterpret_cast<const float4*>(y + i);
    b.x = alpha * a.x + b.x;
    b.y = alpha * a.y + b.y;
    b.z = alpha * a.z + b.z;
    b.w = alpha * a.w + b.w;
    *reinterpret_cast<float4*>(y + i) = b;
  } else {
    for (int k = i; k < n; ++k) y[k] = alpha * x[k] + y[k];
  }
}

extern "C" void solve(const float* x, float* y, float alpha, int n, cudaStream_t stream) {
  expert<<<(n + 1023) / 1024, 256, 0, stream>>>(x, y, alpha, n);
}
)";

/// The template with the id in its place.
std::string with_id(std::string text, const std::string& id) {
  for (size_t at = 0; (at = text.find("@ID@", at)) != std::string::npos; at += id.size())
    text.replace(at, 4, id);
  return text;
}

bool is_folder_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

/// Removes what was created, unless told that all went well.
class Undo {
 public:
  ~Undo() {
    std::error_code ignored;
    for (const fs::path& path : created_) fs::remove_all(path, ignored);
  }
  void remember(const fs::path& path) { created_.push_back(path); }
  void keep() { created_.clear(); }

 private:
  std::vector<fs::path> created_;
};

Result<void> create_folder(const fs::path& folder, Undo& undo) {
  std::error_code failed;
  if (fs::exists(folder, failed))
    return Error{ErrorKind::usage,
                 fmt::format("{} exists already; choose another id or remove it", folder.string())};
  fs::create_directories(folder.parent_path(), failed);
  if (failed || !fs::create_directory(folder, failed))
    return Error{ErrorKind::io,
                 fmt::format("cannot create the folder {}: {}", folder.string(), failed.message())};
  undo.remember(folder);
  return {};
}

}  // namespace

Result<std::vector<fs::path>> create_task(const std::string& id, const std::string& suite,
                                          const TaskRoots& roots) {
  for (const std::string* name : {&id, &suite})
    if (!is_folder_name(*name))
      return Error{ErrorKind::usage,
                   fmt::format("{} cannot be the name of a {}; allowed: up to 64 lower-case "
                               "letters, digits and hyphens",
                               in_quotes(*name), name == &id ? "task" : "suite")};
  const fs::path task = roots.suites / suite / id;
  const fs::path kernels = roots.kernels / id;
  Undo undo;
  RETURN_IF_ERROR(create_folder(task, undo));
  RETURN_IF_ERROR(create_folder(kernels, undo));
  const std::vector<std::pair<fs::path, const char*>> files = {
      {task / "task.toml", kTaskToml},
      {task / "statement.md", kStatement},
      {kernels / "reference.cu", kReference},
      {kernels / "naive.cu", kNaive},
      {kernels / "expert.cu", kExpert}};
  std::vector<fs::path> paths;
  for (const auto& [path, text] : files) {
    RETURN_IF_ERROR(write_file(path, with_id(text, id)));
    paths.push_back(path);
  }
  undo.keep();
  return paths;
}

Result<std::vector<fs::path>> create_task(const std::string& id, const std::string& suite) {
  ASSIGN_OR_RETURN(const fs::path suites, data_folder("tasks/suites"));
  ASSIGN_OR_RETURN(const fs::path kernels, data_folder("reference_kernels"));
  return create_task(id, suite, TaskRoots{suites, kernels});
}

}  // namespace assay
