// Allocations, memsets and copies.
#include <algorithm>
#include <cstring>

#include "evaluator/plan/saturating.h"
#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

/// The rows of a two-dimensional memset or copy.
struct Area {
  uint64_t width_bytes = 0;
  uint64_t height = 1;
  uint64_t target_pitch = 0;
  uint64_t source_pitch = 0;

  bool empty() const { return width_bytes == 0 || height == 0; }
  uint64_t span(uint64_t pitch) const { return saturating::rows(width_bytes, height, pitch); }
};

void check_pitch(const Area& area, uint64_t pitch, const char* function) {
  if (area.height > 1 && pitch < area.width_bytes)
    fail("invalid_argument", "{}: rows of {} bytes at a pitch of {}", function, area.width_bytes,
         pitch);
}

cudaError_t record_memset(void* target, int value, Area area, cudaStream_t handle,
                          const char* function) {
  Stream& stream = state().stream(handle, function);
  if (area.empty()) return cudaSuccess;
  check_pitch(area, area.target_pitch, function);
  Memset memset;
  memset.target = state().locate(target, area.span(area.target_pitch), function);
  memset.value = static_cast<uint8_t>(value);
  memset.width_bytes = area.width_bytes;
  memset.height = area.height;
  memset.pitch_bytes = area.height > 1 ? area.target_pitch : 0;
  state().add(stream, memset);
  return cudaSuccess;
}

[[noreturn]] void fail_read_back(const char* function) {
  fail("host_read_back",
       "{} copies device memory to the host: solve() runs on a machine without a GPU, where no "
       "device data exists. Keep the data on the device and decide there, or launch for the "
       "largest case",
       function);
}

/// One row of host bytes into device memory.
void record_literal(Stream& stream, const Location& target, const void* source, uint64_t bytes,
                    const char* function) {
  state().use_literal(bytes, function);
  Copy copy;
  copy.target = target;
  copy.literal.assign(static_cast<const char*>(source), bytes);
  copy.width_bytes = bytes;
  state().add(stream, std::move(copy));
}

void record_from_host(Stream& stream, void* target, const void* source, Area area,
                      const char* function) {
  Location location = state().locate(target, area.span(area.target_pitch), function);
  if (area.height > 1 && area.target_pitch == area.width_bytes &&
      area.source_pitch == area.width_bytes)
    area = {area.width_bytes * area.height};
  for (uint64_t row = 0; row < area.height; ++row) {
    record_literal(stream, location, static_cast<const char*>(source) + row * area.source_pitch,
                   area.width_bytes, function);
    location.offset += static_cast<int64_t>(area.target_pitch);
  }
}

void record_on_device(Stream& stream, void* target, const void* source, const Area& area,
                      const char* function) {
  Copy copy;
  copy.target = state().locate(target, area.span(area.target_pitch), function);
  copy.source = state().locate(source, area.span(area.source_pitch), function);
  copy.width_bytes = area.width_bytes;
  copy.height = area.height;
  copy.target_pitch_bytes = area.height > 1 ? area.target_pitch : 0;
  copy.source_pitch_bytes = area.height > 1 ? area.source_pitch : 0;
  state().add(stream, copy);
}

void copy_on_host(void* target, const void* source, const Area& area) {
  for (uint64_t row = 0; row < area.height; ++row)
    std::memmove(static_cast<char*>(target) + row * area.target_pitch,
                 static_cast<const char*>(source) + row * area.source_pitch, area.width_bytes);
}

/// The direction follows from the pointers; a `kind` that says otherwise is an error, as it would
/// be on a device.
cudaError_t record_copy(void* target, const void* source, const Area& area, cudaMemcpyKind kind,
                        cudaStream_t handle, const char* function) {
  Stream& stream = state().stream(handle, function);
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
    return error(cudaErrorInvalidMemcpyDirection);
  if (area.empty()) return cudaSuccess;
  check_pitch(area, area.target_pitch, function);
  check_pitch(area, area.source_pitch, function);
  const bool from_device = state().is_device(source);
  const bool to_device = state().is_device(target);
  const bool says_from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool says_to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (from_device && !to_device) fail_read_back(function);
  if (kind != cudaMemcpyDefault && (says_from_device != from_device || says_to_device != to_device))
    fail("invalid_argument",
         "{}: the kind of copy does not fit the pointers: the source is {} memory, the target {} "
         "memory",
         function, from_device ? "device" : "host", to_device ? "device" : "host");
  if (!to_device)
    copy_on_host(target, source, area);
  else if (from_device)
    record_on_device(stream, target, source, area, function);
  else
    record_from_host(stream, target, source, area, function);
  return cudaSuccess;
}

/// The functions without Async: in the legacy default stream, and done on return where the source
/// is host memory.
cudaError_t record_synchronous_copy(void* target, const void* source, const Area& area,
                                    cudaMemcpyKind kind, const char* function) {
  const cudaError_t result = record_copy(target, source, area, kind, nullptr, function);
  if (result == cudaSuccess && !state().is_device(source))
    state().wait_on_host(state().reach(state().stream(nullptr, function)));
  return result;
}

cudaError_t allocate(void** pointer, size_t bytes, const char* function) {
  if (pointer == nullptr) return error(cudaErrorInvalidValue);
  *pointer = bytes == 0 ? nullptr : reinterpret_cast<void*>(state().allocate(bytes, function));
  return cudaSuccess;
}

void* inside_symbol(const void* symbol, size_t bytes, size_t offset, const char* function) {
  const Location start = state().variable(symbol, function);
  const uint64_t size = state().allocation(start).bytes;
  if (offset > size || bytes > size - offset)
    fail("invalid_argument", "{}: {} bytes from byte {} on do not fit into {} ({} bytes)", function,
         bytes, offset, state().allocation(start).name, size);
  return reinterpret_cast<void*>(state().address(start) + offset);
}

}  // namespace

extern "C" {

// ---- allocations

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return allocate(pointer, bytes, "cudaMalloc");
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
  state().stream(stream, "cudaMallocAsync");
  return allocate(pointer, bytes, "cudaMallocAsync");
}

cudaError_t cudaMallocFromPoolAsync(void** pointer, size_t bytes, cudaMemPool_t,
                                    cudaStream_t stream) {
  state().stream(stream, "cudaMallocFromPoolAsync");
  return allocate(pointer, bytes, "cudaMallocFromPoolAsync");
}

cudaError_t cudaMallocPitch(void** pointer, size_t* pitch, size_t width, size_t height) {
  constexpr size_t kPitchUnit = 512;
  if (pitch == nullptr || width > SIZE_MAX / 2) return error(cudaErrorInvalidValue);
  *pitch = (width + kPitchUnit - 1) / kPitchUnit * kPitchUnit;
  if (height != 0 && *pitch > (SIZE_MAX >> 8) / height) return error(cudaErrorMemoryAllocation);
  return allocate(pointer, *pitch * height, "cudaMallocPitch");
}

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  state().release(pointer, "cudaFree");
  state().wait_on_host(state().reach_all());
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  state().stream(stream, "cudaFreeAsync");
  if (pointer != nullptr) state().release(pointer, "cudaFreeAsync");
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total) {
  if (free_bytes == nullptr || total == nullptr) return error(cudaErrorInvalidValue);
  *total = state().device().global_memory_bytes;
  *free_bytes = *total - state().scratch_bytes();
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  if (attributes == nullptr) return error(cudaErrorInvalidValue);
  std::memset(attributes, 0, sizeof *attributes);
  const bool device = state().is_device(pointer);
  attributes->type = device ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  attributes->device = device ? 0 : cudaInvalidDeviceId;
  attributes->devicePointer = device ? const_cast<void*>(pointer) : nullptr;
  return cudaSuccess;
}

// ---- memsets

cudaError_t cudaMemset(void* target, int value, size_t bytes) {
  return record_memset(target, value, {bytes}, nullptr, "cudaMemset");
}

cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  return record_memset(target, value, {bytes}, stream, "cudaMemsetAsync");
}

cudaError_t cudaMemset2D(void* target, size_t pitch, int value, size_t width, size_t height) {
  return record_memset(target, value, {width, height, pitch}, nullptr, "cudaMemset2D");
}

cudaError_t cudaMemset2DAsync(void* target, size_t pitch, int value, size_t width, size_t height,
                              cudaStream_t stream) {
  return record_memset(target, value, {width, height, pitch}, stream, "cudaMemset2DAsync");
}

// ---- copies

cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  return record_synchronous_copy(target, source, {bytes}, kind, "cudaMemcpy");
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return record_copy(target, source, {bytes}, kind, stream, "cudaMemcpyAsync");
}

cudaError_t cudaMemcpy2D(void* target, size_t target_pitch, const void* source, size_t source_pitch,
                         size_t width, size_t height, cudaMemcpyKind kind) {
  return record_synchronous_copy(target, source, {width, height, target_pitch, source_pitch}, kind,
                                 "cudaMemcpy2D");
}

cudaError_t cudaMemcpy2DAsync(void* target, size_t target_pitch, const void* source,
                              size_t source_pitch, size_t width, size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return record_copy(target, source, {width, height, target_pitch, source_pitch}, kind, stream,
                     "cudaMemcpy2DAsync");
}

// ---- variables of the device code

cudaError_t cudaGetSymbolAddress(void** pointer, const void* symbol) {
  if (pointer == nullptr) return error(cudaErrorInvalidValue);
  *pointer = inside_symbol(symbol, 0, 0, "cudaGetSymbolAddress");
  return cudaSuccess;
}

cudaError_t cudaGetSymbolSize(size_t* bytes, const void* symbol) {
  if (bytes == nullptr) return error(cudaErrorInvalidValue);
  *bytes = state().allocation(state().variable(symbol, "cudaGetSymbolSize")).bytes;
  return cudaSuccess;
}

cudaError_t cudaMemcpyToSymbolAsync(const void* symbol, const void* source, size_t bytes,
                                    size_t offset, cudaMemcpyKind kind, cudaStream_t stream) {
  const char* function = "cudaMemcpyToSymbol";
  return record_copy(inside_symbol(symbol, bytes, offset, function), source, {bytes}, kind, stream,
                     function);
}

cudaError_t cudaMemcpyToSymbol(const void* symbol, const void* source, size_t bytes, size_t offset,
                               cudaMemcpyKind kind) {
  const char* function = "cudaMemcpyToSymbol";
  return record_synchronous_copy(inside_symbol(symbol, bytes, offset, function), source, {bytes},
                                 kind, function);
}

cudaError_t cudaMemcpyFromSymbolAsync(void* target, const void* symbol, size_t bytes, size_t offset,
                                      cudaMemcpyKind kind, cudaStream_t stream) {
  const char* function = "cudaMemcpyFromSymbol";
  return record_copy(target, inside_symbol(symbol, bytes, offset, function), {bytes}, kind, stream,
                     function);
}

cudaError_t cudaMemcpyFromSymbol(void* target, const void* symbol, size_t bytes, size_t offset,
                                 cudaMemcpyKind kind) {
  return cudaMemcpyFromSymbolAsync(target, symbol, bytes, offset, kind, nullptr);
}

}  // extern "C"

}  // namespace assay::recording
