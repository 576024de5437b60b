// The part of the CUDA runtime that launchers of the test sources call, with a view inside.
#pragma once

#include <cstddef>

namespace fake_cudart {

struct Dim3 {
  unsigned x, y, z;
};

/// Called for every launch with the name the kernel was registered under ("" if it was not).
using LaunchHook = void (*)(const char* name, Dim3 grid, Dim3 block, size_t shared_bytes,
                            void* stream, void** arguments);
/// Called for every copy to a symbol, with the variable's registered name.
using CopyHook = void (*)(const char* name, const void* source, size_t bytes);
/// Called for every registration.
using RegisterHook = void (*)(const char* name, size_t bytes, bool variable);

struct Hooks {
  LaunchHook launch;
  CopyHook copy;
  RegisterHook registration;
};

}  // namespace fake_cudart

extern "C" void fake_cudart_set_hooks(const fake_cudart::Hooks* hooks);
