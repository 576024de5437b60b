// Does the source of the fills compile for a GPU, and, where there is one, give the same bits?
#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/files.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

/// Runs a command and returns its exit status and what it printed.
std::pair<int, std::string> run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::string output;
  char chunk[4096];
  while (pipe && fgets(chunk, sizeof chunk, pipe)) output += chunk;
  return {pipe ? pclose(pipe) : -1, output};
}

/// nvcc's path, or nothing.
std::string nvcc() {
  for (const char* candidate : {"nvcc", "/usr/local/cuda/bin/nvcc"})
    if (run(fmt::format("{} --version", candidate)).first == 0) return candidate;
  return "";
}

std::string compile_command(const std::string& compiler) {
  return fmt::format(
      "{} -std=c++20 -fmad=false -Xcompiler -ffp-contract=off -I{} -arch=sm_90 "
      "{}/tests/tasks/fill_gpu_check.cu",
      compiler, ASSAY_SOURCE_DIR, ASSAY_SOURCE_DIR);
}

TEST(FillDevice, CompilesWithNvccWithoutFusedMultiplyAdds) {
  const std::string compiler = nvcc();
  if (compiler.empty()) GTEST_SKIP() << "nvcc was not found";
  const auto folder = TemporaryFolder::create("fill");
  ASSERT_TRUE(folder.ok());
  const fs::path ptx = folder->path() / "fill.ptx";
  const auto [status, output] = run(compile_command(compiler) + " -ptx -o " + ptx.string());
  ASSERT_EQ(status, 0) << output;
  const auto text = read_file(ptx);
  ASSERT_TRUE(text.ok());
  EXPECT_NE(text->find(".entry"), std::string::npos);
  EXPECT_NE(text->find("mul.rn.f64"), std::string::npos);
  EXPECT_EQ(text->find("fma.rn.f64"), std::string::npos) << "contraction changes the bits";
}

TEST(FillDevice, GivesTheBitsOfTheCpuOnAGpu) {
  if (access("/dev/nvidiactl", R_OK) != 0) GTEST_SKIP() << "there is no GPU";
  const std::string compiler = nvcc();
  if (compiler.empty()) GTEST_SKIP() << "nvcc was not found";
  const auto folder = TemporaryFolder::create("fill");
  ASSERT_TRUE(folder.ok());
  const std::string program = (folder->path() / "check").string();
  const auto [built, log] = run(compile_command(compiler) + " -O2 -o " + program);
  ASSERT_EQ(built, 0) << log;
  const auto [status, output] = run(program);
  EXPECT_EQ(status, 0) << output;
}

/// The part of NVRTC's interface that one compilation needs.
struct Nvrtc {
  using Program = void*;
  void* handle = nullptr;
  int (*create)(Program*, const char*, const char*, int, const char**, const char**) = nullptr;
  int (*compile)(Program, int, const char**) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*destroy)(Program*) = nullptr;

  Nvrtc() {
    for (const char* name : {"libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.13",
                             "/usr/local/cuda/lib64/libnvrtc.so"})
      if (!handle) handle = dlopen(name, RTLD_NOW);
    if (!handle) return;
    const auto find = [&](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    };
    find(create, "nvrtcCreateProgram");
    find(compile, "nvrtcCompileProgram");
    find(log_size, "nvrtcGetProgramLogSize");
    find(log, "nvrtcGetProgramLog");
    find(destroy, "nvrtcDestroyProgram");
  }
};

TEST(FillDevice, CompilesWithNvrtcWithoutAnyOtherHeader) {
  const Nvrtc nvrtc;
  if (!nvrtc.handle) GTEST_SKIP() << "libnvrtc was not found";
  const std::vector<std::string> names = {
      "tasks/integers.h",    "tasks/dtype.h",     "tasks/element.h",
      "tasks/fill.h",        "tasks/fill_math.h", "tasks/philox.h",
      "tasks/fill_source.h", "tasks/fill_rows.h", "tasks/fill_element.h"};
  std::vector<std::string> texts;
  for (const std::string& name : names)
    texts.push_back(*read_file(fs::path(ASSAY_SOURCE_DIR) / name));
  std::vector<const char*> headers, include_names;
  for (size_t i = 0; i < names.size(); ++i) {
    headers.push_back(texts[i].c_str());
    include_names.push_back(names[i].c_str());
  }
  const char* source =
      "#include \"tasks/fill_element.h\"\n"
      "extern \"C\" __global__ void fill(assay::Fill f, assay::FillKey key, void* data) {\n"
      "  assay::fills::fill_unit(f, key, blockIdx.x, data);\n"
      "  static_assert(sizeof(assay::Fill) == 96 && sizeof(assay::FillKey) == 16);\n"
      "}\n";
  Nvrtc::Program program = nullptr;
  ASSERT_EQ(nvrtc.create(&program, source, "fill.cu", static_cast<int>(names.size()),
                         headers.data(), include_names.data()),
            0);
  const char* options[] = {"--std=c++20", "--fmad=false", "--gpu-architecture=compute_90"};
  const int status = nvrtc.compile(program, 3, options);
  size_t size = 0;
  nvrtc.log_size(program, &size);
  std::string log(size, '\0');
  nvrtc.log(program, log.data());
  EXPECT_EQ(status, 0) << log;
  nvrtc.destroy(&program);
}

}  // namespace
}  // namespace assay
