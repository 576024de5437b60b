#include "tests/compile/fake_cudart.h"

#include <map>
#include <string>
#include <vector>

using fake_cudart::Dim3;

namespace {

struct Configuration {
  Dim3 grid, block;
  size_t shared;
  void* stream;
};

fake_cudart::Hooks hooks{};
std::map<const void*, std::string> names;
std::vector<Configuration> configurations;

const char* name_of(const void* address) {
  const auto found = names.find(address);
  return found == names.end() ? "" : found->second.c_str();
}

int launch(const void* kernel, Dim3 grid, Dim3 block, void** arguments, size_t shared,
           void* stream) {
  if (hooks.launch) hooks.launch(name_of(kernel), grid, block, shared, stream, arguments);
  return 0;
}

}  // namespace

extern "C" {

void fake_cudart_set_hooks(const fake_cudart::Hooks* chosen) {
  hooks = *chosen;
  names.clear();
}

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}

void __cudaRegisterFunction(void**, const char* host, char*, const char* name, int, void*, void*,
                            void*, void*, int*) {
  names[host] = name;
  if (hooks.registration) hooks.registration(name, 0, false);
}

void __cudaRegisterVar(void**, char* host, char*, const char* name, int, size_t bytes, int, int) {
  names[host] = name;
  if (hooks.registration) hooks.registration(name, bytes, true);
}

unsigned __cudaPushCallConfiguration(Dim3 grid, Dim3 block, size_t shared, void* stream) {
  configurations.push_back({grid, block, shared, stream});
  return 0;
}

int __cudaPopCallConfiguration(Dim3* grid, Dim3* block, size_t* shared, void* stream) {
  if (configurations.empty()) return 1;
  const Configuration last = configurations.back();
  configurations.pop_back();
  *grid = last.grid;
  *block = last.block;
  *shared = last.shared;
  *static_cast<void**>(stream) = last.stream;
  return 0;
}

int __cudaGetKernel(const void** kernel, const void* host) {
  *kernel = host;
  return 0;
}

int __cudaLaunchKernel(const void* kernel, Dim3 grid, Dim3 block, void** arguments, size_t shared,
                       void* stream) {
  return launch(kernel, grid, block, arguments, shared, stream);
}

int cudaLaunchKernel(const void* kernel, Dim3 grid, Dim3 block, void** arguments, size_t shared,
                     void* stream) {
  return launch(kernel, grid, block, arguments, shared, stream);
}

int cudaFuncSetAttribute(const void*, int, int) { return 0; }
int cudaGetLastError() { return 0; }

int cudaMemcpyToSymbol(const void* symbol, const void* source, size_t bytes, size_t, int) {
  if (hooks.copy) hooks.copy(name_of(symbol), source, bytes);
  return 0;
}

int cudaMemcpyToSymbolAsync(const void* symbol, const void* source, size_t bytes, size_t, int,
                            void*) {
  if (hooks.copy) hooks.copy(name_of(symbol), source, bytes);
  return 0;
}
}
