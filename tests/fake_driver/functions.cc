// A stand-in for libcuda.so.1: the part of the CUDA driver API that assay uses, on the virtual
// device.
//
// Theory of operation. Work is done when it is submitted and takes no real time to wait for; a
// clock of its own (machine.h) says how long a device would have taken, so that what is measured
// through events is exact and the same every time. Kernels really run: the trusted ones and
// candidates' are PTX, executed instruction by instruction. A captured graph keeps its nodes with
// their dependencies and runs them in a random order that these allow, so that a missing dependency
// shows. Faults stick until the process ends, a hung kernel leaves the stream unready for ever.
// Any function can be told to fail (control.h).
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

#include "tests/fake_driver/machine.h"

using assay::Dim3;
using assay::fake_driver::Function;
using assay::fake_driver::LaunchRequest;
using assay::fake_driver::LoadedModule;
using assay::fake_driver::Machine;

namespace {

struct Event {
  double at_us = -1;  // -1: not recorded
};

struct Node {
  std::function<void()> run;
  std::vector<size_t> after;  // indices of earlier nodes
};

struct Graph {
  std::vector<Node> nodes;
};

struct Stream {
  std::unique_ptr<Graph> capture;
  std::vector<size_t> frontier;
  std::vector<CUgraphNode> handles;  // what a query of the frontier points to
};

Machine& machine() { return Machine::instance(); }

// Nodes are named to callers by their index, from 1.
CUgraphNode handle_of(size_t index) { return reinterpret_cast<CUgraphNode>(index + 1); }
size_t index_of(CUgraphNode node) { return reinterpret_cast<size_t>(node) - 1; }

Stream* stream_of(CUstream stream) { return reinterpret_cast<Stream*>(stream); }
Event* event_of(CUevent event) { return reinterpret_cast<Event*>(event); }
Function* function_of(CUfunction function) { return reinterpret_cast<Function*>(function); }
LoadedModule* module_of(CUmodule module) { return reinterpret_cast<LoadedModule*>(module); }

/// For calls that wait for all kernels: a real driver would not come back from one that hangs.
void wait_for_kernels() {
  if (!machine().hung) return;
  std::fputs("fake driver: something is freed while a kernel hangs\n", stderr);
  std::abort();
}

/// What a call returns before it does anything: the failure that a test asked for, or an error
/// that stuck.
CUresult enter(const char* function) {
  auto& control = machine().control;
  if (control.failing > 0 && std::strcmp(control.function, function) == 0 && --control.failing == 0)
    return control.result;
  return machine().sticky;
}

CUresult submit(CUstream stream, std::function<void()> work) {
  Stream& to = *stream_of(stream);
  if (!to.capture) {
    work();
    return CUDA_SUCCESS;
  }
  to.capture->nodes.push_back({std::move(work), to.frontier});
  to.frontier = {to.capture->nodes.size() - 1};
  return CUDA_SUCCESS;
}

/// Runs all nodes, each after those it depends on and otherwise in random order.
void run(const Graph& graph) {
  auto& control = machine().control;
  std::mt19937 random(control.order_seed++);
  std::vector<size_t> waiting(graph.nodes.size());
  std::vector<std::vector<size_t>> next(graph.nodes.size());
  std::vector<size_t> ready;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    waiting[i] = graph.nodes[i].after.size();
    for (const size_t before : graph.nodes[i].after) next[before].push_back(i);
    if (waiting[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    std::swap(ready[random() % ready.size()], ready.back());
    const size_t index = ready.back();
    ready.pop_back();
    graph.nodes[index].run();
    for (const size_t follower : next[index])
      if (--waiting[follower] == 0) ready.push_back(follower);
  }
}

void fill(CUdeviceptr target, size_t pitch, const void* value, size_t value_bytes, size_t width,
          size_t height) {
  for (size_t y = 0; y < height; ++y) {
    std::byte* row = machine().at(target + y * pitch, width * value_bytes);
    if (!row) {
      machine().sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
      return;
    }
    for (size_t x = 0; x < width; ++x) std::memcpy(row + x * value_bytes, value, value_bytes);
  }
}

void copy(CUdeviceptr target, size_t target_pitch, CUdeviceptr source, size_t source_pitch,
          size_t width, size_t height) {
  for (size_t y = 0; y < height; ++y) {
    std::byte* to = machine().at(target + y * target_pitch, width);
    const std::byte* from = machine().at(source + y * source_pitch, width);
    if (!to || !from) {
      machine().sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
      return;
    }
    std::memmove(to, from, width);
  }
}

Dim3 dim(unsigned x, unsigned y, unsigned z) { return Dim3{x, y, z}; }

}  // namespace

#define ENTER() \
  if (const CUresult entered = enter(__func__); entered != CUDA_SUCCESS) return entered

extern "C" {

__attribute__((visibility("default"))) assay::fake_driver::Control* fake_driver_control() {
  return &machine().control;
}

__attribute__((visibility("default"))) void fake_driver_restart() {
  Machine& fresh = machine();
  const uint64_t allocated = fresh.control.allocated_bytes;
  fresh.control = {};
  fresh.control.allocated_bytes = allocated;
  fresh.sticky = CUDA_SUCCESS;
  fresh.hung = false;
}

CUresult cuInit(unsigned) {
  ENTER();
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int* version) {
  *version = 13000;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char** text) {
  static const std::array<std::pair<CUresult, const char*>, 12> names = {
      {{CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"},
       {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
       {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
       {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
       {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND"},
       {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
       {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS"},
       {CUDA_ERROR_ASSERT, "CUDA_ERROR_ASSERT"},
       {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
       {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE"},
       {CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA_ERROR_DEVICE_UNAVAILABLE"},
       {CUDA_ERROR_ECC_UNCORRECTABLE, "CUDA_ERROR_ECC_UNCORRECTABLE"}}};
  for (const auto& [result, name] : names) {
    if (result != error) continue;
    *text = name;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "of the stand-in driver";
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  ENTER();
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  ENTER();
  *count = 1;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice) {
  ENTER();
  std::strncpy(name, "stand-in GPU", static_cast<size_t>(length));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice) {
  ENTER();
  std::memset(uuid->bytes, 0x5a, sizeof uuid->bytes);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice) {
  ENTER();
  const assay::DeviceInfo info;
  const auto& control = machine().control;
  const std::map<CUdevice_attribute, uint64_t> values = {
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 9},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0},
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, control.multiprocessors},
      {CU_DEVICE_ATTRIBUTE_WARP_SIZE, info.warp_size},
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, info.max_threads_per_block},
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, info.max_threads_per_multiprocessor},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, info.max_blocks_per_multiprocessor},
      {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, info.registers_per_block},
      {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, info.registers_per_multiprocessor},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, info.shared_per_block_bytes},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, info.shared_per_block_optin_bytes},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
       info.shared_per_multiprocessor_bytes},
      {CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, info.shared_reserved_per_block_bytes},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, info.max_grid[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, info.max_grid[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, info.max_grid[2]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, info.max_block[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, info.max_block[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, info.max_block[2]},
      {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, control.l2_bytes},
      {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
      {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
      {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 1024}};
  const auto found = values.find(attribute);
  if (found == values.end()) return CUDA_ERROR_INVALID_VALUE;
  *value = static_cast<int>(found->second);
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice) {
  ENTER();
  *bytes = machine().control.memory_bytes;
  return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v4(CUcontext* context, CUctxCreateParams*, unsigned, CUdevice) {
  ENTER();
  *context = reinterpret_cast<CUcontext>(&machine());
  return CUDA_SUCCESS;
}
CUresult cuCtxDestroy_v2(CUcontext) {
  wait_for_kernels();
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext) { return CUDA_SUCCESS; }
CUresult cuCtxSynchronize() {
  ENTER();
  return CUDA_SUCCESS;
}
CUresult cuCtxSetLimit(CUlimit, size_t) {
  ENTER();
  return CUDA_SUCCESS;
}
CUresult cuCtxGetLimit(size_t* value, CUlimit) {
  ENTER();
  *value = 1;
  return CUDA_SUCCESS;
}
CUresult cuCtxResetPersistingL2Cache() {
  ENTER();
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* address, size_t bytes) {
  ENTER();
  return machine().allocate(bytes, *address);
}
CUresult cuMemFree_v2(CUdeviceptr address) {
  wait_for_kernels();
  return machine().free(address);
}

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  ENTER();
  *free = machine().free_bytes();
  *total = machine().control.memory_bytes;
  return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
  ENTER();
  *memory = std::malloc(bytes);
  return *memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemFreeHost(void* memory) {
  std::free(memory);
  return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void* source, size_t bytes) {
  ENTER();
  std::byte* to = machine().at(target, bytes);
  if (!to) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(to, source, bytes);
  return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoH_v2(void* target, CUdeviceptr source, size_t bytes) {
  ENTER();
  const std::byte* from = machine().at(source, bytes);
  if (!from) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(target, from, bytes);
  return CUDA_SUCCESS;
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  ENTER();
  copy(target, bytes, source, bytes, bytes, 1);
  return machine().sticky;
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes,
                              CUstream stream) {
  ENTER();
  return submit(stream, [=] { copy(target, bytes, source, bytes, bytes, 1); });
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* what, CUstream stream) {
  ENTER();
  return submit(stream, [copied = *what] {
    copy(copied.dstDevice, copied.dstPitch, copied.srcDevice, copied.srcPitch, copied.WidthInBytes,
         copied.Height);
  });
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t count, CUstream stream) {
  ENTER();
  return submit(stream, [=] { fill(target, count, &value, 1, count, 1); });
}
CUresult cuMemsetD2D8Async(CUdeviceptr target, size_t pitch, unsigned char value, size_t width,
                           size_t height, CUstream stream) {
  ENTER();
  return submit(stream, [=] { fill(target, pitch, &value, 1, width, height); });
}
CUresult cuMemsetD2D16Async(CUdeviceptr target, size_t pitch, unsigned short value, size_t width,
                            size_t height, CUstream stream) {
  ENTER();
  return submit(stream, [=] { fill(target, pitch, &value, 2, width, height); });
}
CUresult cuMemsetD2D32Async(CUdeviceptr target, size_t pitch, unsigned value, size_t width,
                            size_t height, CUstream stream) {
  ENTER();
  return submit(stream, [=] { fill(target, pitch, &value, 4, width, height); });
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned, CUjit_option*, void**) {
  ENTER();
  LoadedModule* loaded = nullptr;
  const CUresult result = machine().load(image, loaded);
  *module = reinterpret_cast<CUmodule>(loaded);
  return result;
}
CUresult cuModuleUnload(CUmodule module) {
  wait_for_kernels();
  machine().unload(module_of(module));
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  ENTER();
  LoadedModule& loaded = *module_of(module);
  auto& entry = loaded.functions[name];
  if (!entry) {
    const auto* program = loaded.image->kernel(name);
    if (!program) return CUDA_ERROR_NOT_FOUND;
    entry = std::make_unique<Function>(Function{&loaded, name, program});
  }
  *function = reinterpret_cast<CUfunction>(entry.get());
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module,
                              const char* name) {
  ENTER();
  return machine().variable(*module_of(module), name, *address, *bytes);
}

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction) {
  ENTER();
  *value = 0;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t* offset, size_t* bytes) {
  ENTER();
  // A real driver counts in the constant bank, where parameters begin at 0x210 on Hopper.
  const auto parameter = function_of(function)->parameter(index, 0x210);
  if (!parameter) return CUDA_ERROR_INVALID_VALUE;
  std::tie(*offset, *bytes) = *parameter;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  ENTER();
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_SUCCESS;
  const assay::DeviceInfo info;
  const uint32_t fixed = function_of(function)->program->static_shared_bytes;
  if (value < 0 || static_cast<uint32_t>(value) + fixed > info.shared_per_block_optin_bytes)
    return CUDA_ERROR_INVALID_VALUE;
  function_of(function)->dynamic_shared_limit = value;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters,
                          void** extra) {
  ENTER();
  if (extra) return CUDA_ERROR_INVALID_VALUE;
  LaunchRequest request;
  request.function = function_of(function);
  request.grid = dim(config->gridDimX, config->gridDimY, config->gridDimZ);
  request.block = dim(config->blockDimX, config->blockDimY, config->blockDimZ);
  request.shared_bytes = config->sharedMemBytes;
  for (unsigned i = 0; i < config->numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config->attrs[i];
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
      request.cooperative = attribute.value.cooperative != 0;
    if (attribute.id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      request.cluster = dim(attribute.value.clusterDim.x, attribute.value.clusterDim.y,
                            attribute.value.clusterDim.z);
  }
  request.parameters.resize(request.function->program->parameter_bytes);
  for (size_t i = 0; const auto place = request.function->parameter(i); ++i)
    std::memcpy(request.parameters.data() + place->first, parameters[i], place->second);
  if (const CUresult refused = machine().refusal(request); refused != CUDA_SUCCESS) return refused;
  return submit(config->hStream, [request] { machine().run(request); });
}

CUresult cuStreamCreate(CUstream* stream, unsigned) {
  ENTER();
  *stream = reinterpret_cast<CUstream>(new Stream);
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy_v2(CUstream stream) {
  wait_for_kernels();
  delete stream_of(stream);
  return CUDA_SUCCESS;
}
CUresult cuStreamQuery(CUstream) {
  ENTER();
  return machine().hung ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}
/// A real one would wait for ever.
CUresult cuStreamSynchronize(CUstream) {
  ENTER();
  return machine().hung ? CUDA_ERROR_LAUNCH_TIMEOUT : CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode) {
  ENTER();
  if (stream_of(stream)->capture) return CUDA_ERROR_ILLEGAL_STATE;
  stream_of(stream)->capture = std::make_unique<Graph>();
  stream_of(stream)->frontier.clear();
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph) {
  Stream& from = *stream_of(stream);
  if (!from.capture) return CUDA_ERROR_ILLEGAL_STATE;
  // Like the real one: work that nothing at the end follows was forgotten.
  std::vector<bool> followed(from.capture->nodes.size());
  for (const Node& node : from.capture->nodes)
    for (const size_t before : node.after) followed[before] = true;
  for (const size_t index : from.frontier) followed[index] = true;
  const bool joined = std::ranges::all_of(followed, [](bool is) { return is; });
  *graph = joined ? reinterpret_cast<CUgraph>(from.capture.release()) : nullptr;
  from.capture.reset();
  return joined ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t*,
                                   CUgraph*, const CUgraphNode** nodes,
                                   const CUgraphEdgeData** edges, size_t* count) {
  ENTER();
  Stream& from = *stream_of(stream);
  *status = from.capture ? CU_STREAM_CAPTURE_STATUS_ACTIVE : CU_STREAM_CAPTURE_STATUS_NONE;
  from.handles.clear();
  for (const size_t index : from.frontier) from.handles.push_back(handle_of(index));
  *nodes = from.handles.data();
  *edges = nullptr;
  *count = from.handles.size();
  return CUDA_SUCCESS;
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream stream, CUgraphNode* nodes,
                                              const CUgraphEdgeData*, size_t count,
                                              unsigned flags) {
  ENTER();
  if (flags != CU_STREAM_SET_CAPTURE_DEPENDENCIES) return CUDA_ERROR_INVALID_VALUE;
  Stream& to = *stream_of(stream);
  to.frontier.clear();
  for (size_t i = 0; i < count; ++i) {
    if (index_of(nodes[i]) >= to.capture->nodes.size()) return CUDA_ERROR_INVALID_VALUE;
    to.frontier.push_back(index_of(nodes[i]));
  }
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* event, unsigned) {
  ENTER();
  *event = reinterpret_cast<CUevent>(new Event);
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy_v2(CUevent event) {
  delete event_of(event);
  return CUDA_SUCCESS;
}
CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) {
  ENTER();
  return submit(stream, [event] { event_of(event)->at_us = machine().now_us; });
}
CUresult cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, 0);
}
CUresult cuEventQuery(CUevent) {
  ENTER();
  return machine().hung ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent) {
  ENTER();
  return machine().hung ? CUDA_ERROR_LAUNCH_TIMEOUT : CUDA_SUCCESS;
}
CUresult cuEventElapsedTime_v2(float* milliseconds, CUevent begin, CUevent end) {
  ENTER();
  if (event_of(begin)->at_us < 0 || event_of(end)->at_us < 0) return CUDA_ERROR_INVALID_HANDLE;
  *milliseconds = static_cast<float>((event_of(end)->at_us - event_of(begin)->at_us) * 1e-3);
  return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph graph, unsigned long long) {
  ENTER();
  *executable = reinterpret_cast<CUgraphExec>(new Graph(*reinterpret_cast<Graph*>(graph)));
  return CUDA_SUCCESS;
}
CUresult cuGraphUpload(CUgraphExec, CUstream) {
  ENTER();
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream) {
  ENTER();
  run(*reinterpret_cast<Graph*>(executable));
  return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec executable) {
  delete reinterpret_cast<Graph*>(executable);
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  delete reinterpret_cast<Graph*>(graph);
  return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeTiled(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*,
                                const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                                const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill) {
  ENTER();
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // extern "C"
