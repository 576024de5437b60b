// assay-nvrtc: the device pass of the fast build, inside the sandbox.
//
// Theory of operation. NVRTC is a library; this program loads it with dlopen and is killed with it
// when a source drives it mad. Its uses:
//
//   precompile LIBRARY SOURCE HEADER OPTION...   makes a precompiled header of a source that is
//                                                only includes
//   compile LIBRARY SOURCE PTX OPTION...         compiles a source without kernel templates
//   guess LIBRARY SOURCE NAMES PTX OPTION...     compiles; NAMES lists template instances, one a
//                                                line, that are to be instantiated
//   instantiate LIBRARY SOURCE ASSEMBLY GUESS PTX OPTION...
//                                                compiles with the instances that the host half's
//                                                assembly names; takes GUESS.ptx and the log in
//                                                GUESS.err instead if they hold just these
//   match ASSEMBLY PTX MATCHED                   makes symbols agree (ptx_names.h)
//
// A precompiled header is an image of NVRTC's heap and is only of use to a process that has its
// heap at the same address. NVRTC allocates that heap by one large mmap before its first
// compilation, at an address that the kernel picks at random; so this program puts its own mmap
// before the C library's and gives that one allocation a fixed address. All else stays random.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "evaluator/compile/ptx_names.h"

namespace {

constexpr size_t kHeapBytesAtLeast = size_t{64} << 20;
constexpr uintptr_t kHeapAddress = 0x100000000000;  // far from where Linux puts anything
constexpr int kFixedNoReplace = 0x100000;           // MAP_FIXED_NOREPLACE
bool heap_awaited = false;  // from loading NVRTC until it has allocated its heap

}  // namespace

extern "C" __attribute__((visibility("default"))) void* mmap(void* address, size_t bytes,
                                                             int protection, int flags, int file,
                                                             off_t offset) noexcept {
  if (heap_awaited && address == nullptr && file == -1 && bytes >= kHeapBytesAtLeast) {
    heap_awaited = false;
    address = reinterpret_cast<void*>(kHeapAddress);
    flags |= kFixedNoReplace;
  }
  return reinterpret_cast<void*>(
      syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}

namespace assay {
namespace {

using Program = struct _nvrtcProgram*;

/// The few functions of NVRTC that are needed. All return 0 on success.
/// NVRTC asks for its second library by name alone, which the system's linker knows only where a
/// toolkit is installed as a whole; one of that name which is loaded already is taken.
void load_builtins(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with("libnvrtc-builtins.so."))
      dlopen(entry.path().c_str(), RTLD_NOW | RTLD_LOCAL);
}

struct Nvrtc {
  int (*create)(Program*, const char* source, const char* name, int headers,
                const char* const* contents, const char* const* names) = nullptr;
  int (*add_name)(Program, const char* expression) = nullptr;
  int (*compile)(Program, int options, const char* const* texts) = nullptr;
  int (*log_size)(Program, size_t*) = nullptr;
  int (*log)(Program, char*) = nullptr;
  int (*ptx_size)(Program, size_t*) = nullptr;
  int (*ptx)(Program, char*) = nullptr;

  bool load(const char* library) {
    heap_awaited = true;
    load_builtins(std::filesystem::path(library).parent_path());
    void* handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      std::fprintf(stderr, "assay-nvrtc: %s\n", dlerror());
      return false;
    }
    return symbol(handle, "nvrtcCreateProgram", create) &&
           symbol(handle, "nvrtcAddNameExpression", add_name) &&
           symbol(handle, "nvrtcCompileProgram", compile) &&
           symbol(handle, "nvrtcGetProgramLogSize", log_size) &&
           symbol(handle, "nvrtcGetProgramLog", log) &&
           symbol(handle, "nvrtcGetPTXSize", ptx_size) && symbol(handle, "nvrtcGetPTX", ptx);
  }

 private:
  template <typename Function>
  static bool symbol(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (!function) std::fprintf(stderr, "assay-nvrtc: no symbol %s\n", name);
    return function != nullptr;
  }
};

std::string read_all(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool write_all(const char* path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  return static_cast<bool>(file.flush());
}

/// Compiles `source` and prints the log; the PTX, empty on failure.
std::string run_nvrtc(const char* library, const std::string& source,
                      const std::vector<std::string>& names, std::vector<const char*> options) {
  Nvrtc nvrtc;
  Program program = nullptr;
  if (!nvrtc.load(library)) return {};
  if (nvrtc.create(&program, source.c_str(), "device.cu", 0, nullptr, nullptr) != 0) return {};
  for (const std::string& name : names)
    if (nvrtc.add_name(program, name.c_str()) != 0) return {};
  const int failed = nvrtc.compile(program, static_cast<int>(options.size()), options.data());
  size_t size = 0;
  if (nvrtc.log_size(program, &size) == 0 && size > 1) {
    std::string text(size, '\0');
    nvrtc.log(program, text.data());
    std::fputs(text.c_str(), stderr);
  }
  if (failed != 0 || nvrtc.ptx_size(program, &size) != 0 || size == 0) return {};
  std::string ptx(size, '\0');
  if (nvrtc.ptx(program, ptx.data()) != 0) return {};
  ptx.resize(size - 1);
  return ptx;
}

/// Compiles `source` with the options from `options` on into the file `ptx`; the exit status.
int compile(char** options, int count, const char* library, const char* source,
            const std::vector<std::string>& names, const char* ptx) {
  const std::string text = run_nvrtc(library, read_all(source), names,
                                     std::vector<const char*>(options, options + count));
  return !text.empty() && write_all(ptx, text) ? 0 : 1;
}

int guess(int count, char** values) {
  std::istringstream lines(read_all(values[4]));
  std::vector<std::string> names;
  for (std::string name; std::getline(lines, name);) names.push_back(name);
  return compile(values + 6, count - 6, values[2], values[3], names, values[5]);
}

int instantiate(int count, char** values) {
  const HostSymbols symbols = read_host_symbols(read_all(values[4]));
  const std::string guess = values[5];
  if (const std::string ptx = read_all((guess + ".ptx").c_str());
      !ptx.empty() && match_symbols(ptx, symbols).ok()) {
    std::fputs(read_all((guess + ".err").c_str()).c_str(), stderr);
    return write_all(values[6], ptx) ? 0 : 1;
  }
  return compile(values + 7, count - 7, values[2], values[3], instantiations(symbols.kernels),
                 values[6]);
}

int precompile(int count, char** values) {
  std::vector<const char*> options(values + 5, values + count);
  const std::string create = std::string("--create-pch=") + values[4];
  options.push_back(create.c_str());
  return run_nvrtc(values[2], read_all(values[3]), {}, options).empty() ? 1 : 0;
}

int match(char** values) {
  const auto matched = match_symbols(read_all(values[3]), read_host_symbols(read_all(values[2])));
  if (!matched.ok()) {
    std::fprintf(stderr, "assay-nvrtc: %s\n", matched.error().message.c_str());
    return 3;
  }
  return write_all(values[4], *matched) ? 0 : 1;
}

}  // namespace
}  // namespace assay

int main(int count, char** values) {
  const std::string use = count > 1 ? values[1] : "";
  int status = 2;
  if (use == "compile" && count >= 5)
    status = assay::compile(values + 5, count - 5, values[2], values[3], {}, values[4]);
  else if (use == "guess" && count >= 6)
    status = assay::guess(count, values);
  else if (use == "instantiate" && count >= 7)
    status = assay::instantiate(count, values);
  else if (use == "precompile" && count >= 5)
    status = assay::precompile(count, values);
  else if (use == "match" && count == 5)
    status = assay::match(values);
  else
    std::fputs("usage: assay-nvrtc precompile|compile|guess|instantiate|match ...\n", stderr);
  std::fflush(nullptr);
  _exit(status);  // NVRTC's own clean-up takes tens of milliseconds
}
