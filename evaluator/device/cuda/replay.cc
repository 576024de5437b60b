// Theory of operation
//
// A plan is a graph already: operations with dependencies. It is captured rather than built node by
// node, because a captured launch keeps every attribute (clusters, cooperative, programmatic
// dependent launch) exactly as a stream would. Before each operation the stream's dependencies are
// set to the nodes of the operations it depends on; after it, the new node is read back. At the end
// the stream depends on all nodes without successors, so that whatever is captured next follows the
// whole plan.
#include "evaluator/device/cuda/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace assay::cuda {

namespace {

class Capture {
 public:
  Capture(const Driver& driver, CUstream stream, TrustedModule& trusted, const CudaModule& module,
          const LaunchPlan& plan, std::span<const CUdeviceptr> addresses,
          std::span<const CUdeviceptr> literals)
      : driver_(driver),
        stream_(stream),
        trusted_(trusted),
        module_(module),
        plan_(plan),
        addresses_(addresses),
        literals_(literals) {}

  Result<std::optional<Fault>> run() {
    RETURN_IF_ERROR(read_frontier(start_));
    nodes_.resize(plan_.operations.size());
    std::vector<bool> has_successor(plan_.operations.size());
    for (size_t i = 0; i < plan_.operations.size(); ++i) {
      const Operation& operation = plan_.operations[i];
      Frontier frontier;
      for (const uint32_t dependency : operation.depends_on) {
        frontier.insert(frontier.end(), nodes_[dependency].begin(), nodes_[dependency].end());
        has_successor[dependency] = true;
      }
      first_ = operation.depends_on.empty();
      RETURN_IF_ERROR(set_frontier(first_ ? start_ : frontier));
      RETURN_IF_ERROR(std::visit([&](const auto& action) { return add(action, literals_[i]); },
                                 operation.action));
      if (fault_) {
        fault_->operation = static_cast<uint32_t>(i);
        return std::move(fault_);
      }
      RETURN_IF_ERROR(read_frontier(nodes_[i]));
    }
    Frontier end;
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (!has_successor[i]) end.insert(end.end(), nodes_[i].begin(), nodes_[i].end());
    RETURN_IF_ERROR(set_frontier(nodes_.empty() ? start_ : end));
    return std::optional<Fault>();
  }

 private:
  using Frontier = std::vector<CUgraphNode>;

  Result<void> read_frontier(Frontier& frontier) const {
    CUstreamCaptureStatus status{};
    const CUgraphNode* nodes = nullptr;
    const CUgraphEdgeData* edges = nullptr;
    size_t count = 0;
    RETURN_IF_ERROR(expect(driver_,
                           driver_.cuStreamGetCaptureInfo_v3(stream_, &status, nullptr, nullptr,
                                                             &nodes, &edges, &count),
                           "reading a capture"));
    frontier.assign(nodes, nodes + count);
    return {};
  }

  Result<void> set_frontier(Frontier frontier) const {
    std::ranges::sort(frontier);
    frontier.erase(std::unique(frontier.begin(), frontier.end()), frontier.end());
    return expect(
        driver_,
        driver_.cuStreamUpdateCaptureDependencies_v2(
            stream_, frontier.data(), nullptr, frontier.size(), CU_STREAM_SET_CAPTURE_DEPENDENCIES),
        "ordering a capture");
  }

  CUdeviceptr at(const Location& location) const {
    return addresses_[location.allocation] + static_cast<uint64_t>(location.offset);
  }

  Result<void> add(const Launch& launch, CUdeviceptr /*literal*/) {
    ASSIGN_OR_RETURN(const CUfunction function, module_.function(launch.kernel));
    std::string parameters = launch.parameters;
    for (const Relocation& relocation : launch.relocations) {
      const CUdeviceptr address = at(relocation.target);
      std::memcpy(parameters.data() + relocation.offset, &address, sizeof address);
    }
    for (const TensorMap& map : launch.tensor_maps) RETURN_IF_ERROR(encode(map, parameters));

    if (launch.dynamic_shared_bytes > (48u << 10)) {
      const CUresult result =
          driver_.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                     static_cast<int>(launch.dynamic_shared_bytes));
      if (result != CUDA_SUCCESS) return refused(result, launch.kernel);
    }
    std::array<CUlaunchAttribute, 3> attributes{};
    unsigned count = 0;
    if (launch.cluster.count() > 0) {
      attributes[count].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
      attributes[count].value.clusterDim = {launch.cluster.x, launch.cluster.y, launch.cluster.z};
      ++count;
      if (launch.cluster.count() > 8)
        driver_.cuFuncSetAttribute(function, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED,
                                   1);
    }
    if (launch.cooperative) {
      attributes[count].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
      attributes[count++].value.cooperative = 1;
    }
    // Programmatic launch overlaps a candidate's own kernels, never the call before it.
    if (launch.programmatic && !first_) {
      attributes[count].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
      attributes[count++].value.programmaticStreamSerializationAllowed = 1;
    }
    CUlaunchConfig config{};
    config.gridDimX = launch.grid.x;
    config.gridDimY = launch.grid.y;
    config.gridDimZ = launch.grid.z;
    config.blockDimX = launch.block.x;
    config.blockDimY = launch.block.y;
    config.blockDimZ = launch.block.z;
    config.sharedMemBytes = launch.dynamic_shared_bytes;
    config.hStream = stream_;
    config.attrs = attributes.data();
    config.numAttrs = count;
    ASSIGN_OR_RETURN(std::vector<void*> pointers, pointers_to(parameters, function, launch.kernel));
    const CUresult result = driver_.cuLaunchKernelEx(&config, function, pointers.data(), nullptr);
    return result == CUDA_SUCCESS ? Result<void>() : refused(result, launch.kernel);
  }

  /// One pointer a parameter: cooperative launches do not take a buffer of all. Where each lies is
  /// said by the PTX that the plan was recorded for; the driver's offsets are those of the constant
  /// bank, where a parameter aligned to 128 bytes stands elsewhere.
  Result<std::vector<void*>> pointers_to(std::string& parameters, CUfunction function,
                                         const std::string& name) const {
    const Kernel* kernel = module_.kernel(name);
    std::vector<void*> pointers;
    bool fits = kernel != nullptr;
    size_t offset = 0, bytes = 0;
    while (fits &&
           driver_.cuFuncGetParamInfo(function, pointers.size(), &offset, &bytes) == CUDA_SUCCESS) {
      fits = pointers.size() < kernel->parameters.size();
      if (!fits) break;
      const KernelParameter& parameter = kernel->parameters[pointers.size()];
      fits = parameter.bytes == bytes &&
             uint64_t{parameter.offset} + parameter.bytes <= parameters.size();
      if (fits) pointers.push_back(parameters.data() + parameter.offset);
    }
    if (!fits || pointers.size() != kernel->parameters.size())
      return Error{ErrorKind::internal,
                   fmt::format("kernel {} takes other parameters than its PTX says", name)};
    return pointers;
  }

  Result<void> refused(CUresult result, const std::string& kernel) {
    fault_ = fault_of(driver_, result, kernel);
    return fault_ ? Result<void>() : expect(driver_, result, kernel.c_str());
  }

  Result<void> encode(const TensorMap& map, std::string& parameters) const {
    CUtensorMap encoded{};
    RETURN_IF_ERROR(expect(driver_,
                           driver_.cuTensorMapEncodeTiled(
                               &encoded, static_cast<CUtensorMapDataType>(map.data_type), map.rank,
                               reinterpret_cast<void*>(at(map.base)), map.dimensions.data(),
                               map.strides_bytes.data(), map.box.data(), map.element_strides.data(),
                               static_cast<CUtensorMapInterleave>(map.interleave),
                               static_cast<CUtensorMapSwizzle>(map.swizzle),
                               static_cast<CUtensorMapL2promotion>(map.l2_promotion),
                               static_cast<CUtensorMapFloatOOBfill>(map.oob_fill)),
                           "encoding a tensor map"));
    std::memcpy(parameters.data() + map.offset, &encoded, sizeof encoded);
    return {};
  }

  Result<void> add(const Memset& memset, CUdeviceptr /*literal*/) {
    const size_t width = memset.width_bytes / memset.element_bytes;
    const size_t pitch = memset.pitch_bytes > 0 ? memset.pitch_bytes : memset.width_bytes;
    const CUdeviceptr target = at(memset.target);
    CUresult result = CUDA_SUCCESS;
    switch (memset.element_bytes) {
      case 4:
        result =
            driver_.cuMemsetD2D32Async(target, pitch, memset.value, width, memset.height, stream_);
        break;
      case 2:
        result =
            driver_.cuMemsetD2D16Async(target, pitch, static_cast<unsigned short>(memset.value),
                                       width, memset.height, stream_);
        break;
      default:
        result = driver_.cuMemsetD2D8Async(target, pitch, static_cast<unsigned char>(memset.value),
                                           width, memset.height, stream_);
    }
    return expect(driver_, result, "adding a memset");
  }

  Result<void> add(const Copy& copy, CUdeviceptr literal) {
    CUDA_MEMCPY2D description{};
    description.srcMemoryType = CU_MEMORYTYPE_DEVICE;
    description.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    description.srcDevice = literal != 0 ? literal : at(copy.source);
    description.dstDevice = at(copy.target);
    description.WidthInBytes = copy.width_bytes;
    description.Height = copy.height;
    description.srcPitch =
        copy.source_pitch_bytes > 0 && literal == 0 ? copy.source_pitch_bytes : copy.width_bytes;
    description.dstPitch = copy.target_pitch_bytes > 0 ? copy.target_pitch_bytes : copy.width_bytes;
    const CUresult result = copy.height == 1 ? driver_.cuMemcpyDtoDAsync_v2(
                                                   description.dstDevice, description.srcDevice,
                                                   copy.width_bytes, stream_)
                                             : driver_.cuMemcpy2DAsync_v2(&description, stream_);
    return expect(driver_, result, "adding a copy");
  }

  Result<void> add(const ElementCopy& copy, CUdeviceptr /*literal*/) {
    return trusted_.copy_elements(stream_, copy.elements, at(copy.target), at(copy.source));
  }

  const Driver& driver_;
  CUstream stream_;
  TrustedModule& trusted_;
  const CudaModule& module_;
  const LaunchPlan& plan_;
  std::span<const CUdeviceptr> addresses_;
  std::span<const CUdeviceptr> literals_;
  Frontier start_;
  bool first_ = true;  // the operation follows nothing of its plan
  std::vector<Frontier> nodes_;
  std::optional<Fault> fault_;
};

}  // namespace

Result<void> CudaModule::load() {
  unload();
  ++generation_;
  return expect(context_.driver(),
                context_.driver().cuModuleLoadDataEx(&module_, image_.data(), 0, nullptr, nullptr),
                "loading the candidate's device code");
}

void CudaModule::unload() {
  if (module_ && !context_.lost()) context_.driver().cuModuleUnload(module_);
  module_ = nullptr;
}

Result<CUfunction> CudaModule::function(const std::string& name) const {
  CUfunction function = nullptr;
  RETURN_IF_ERROR(expect(context_.driver(),
                         context_.driver().cuModuleGetFunction(&function, module_, name.c_str()),
                         "finding a kernel"));
  return function;
}

const Kernel* CudaModule::kernel(const std::string& name) const {
  const auto found = std::ranges::find(kernels_, name, &Kernel::name);
  return found == kernels_.end() ? nullptr : &*found;
}

Result<std::pair<CUdeviceptr, size_t>> CudaModule::variable(const std::string& name) const {
  CUdeviceptr address = 0;
  size_t bytes = 0;
  RETURN_IF_ERROR(
      expect(context_.driver(),
             context_.driver().cuModuleGetGlobal_v2(&address, &bytes, module_, name.c_str()),
             "finding a module variable"));
  return std::pair(address, bytes);
}

Result<std::optional<Fault>> capture_plan(const Driver& driver, CUstream stream,
                                          TrustedModule& trusted, const CudaModule& module,
                                          const LaunchPlan& plan,
                                          std::span<const CUdeviceptr> addresses,
                                          std::span<const CUdeviceptr> literals) {
  return Capture(driver, stream, trusted, module, plan, addresses, literals).run();
}

std::optional<Fault> fault_of(const Driver& driver, CUresult result, const std::string& kernel) {
  struct Row {
    CUresult result;
    Fault::Kind kind;
    const char* sentence;
  };
  static constexpr Row rows[] = {
      {CUDA_ERROR_ILLEGAL_ADDRESS, Fault::Kind::illegal_address,
       "a kernel read or wrote memory that it does not own"},
      {CUDA_ERROR_MISALIGNED_ADDRESS, Fault::Kind::misaligned_address,
       "a kernel accessed memory at an address that is not a multiple of the access's size"},
      {CUDA_ERROR_INVALID_ADDRESS_SPACE, Fault::Kind::illegal_address,
       "a kernel used an address in the wrong memory space"},
      {CUDA_ERROR_INVALID_PC, Fault::Kind::illegal_address,
       "a kernel jumped to an address that holds no code"},
      {CUDA_ERROR_ILLEGAL_INSTRUCTION, Fault::Kind::trap,
       "a kernel executed a trap or an illegal instruction"},
      {CUDA_ERROR_LAUNCH_FAILED, Fault::Kind::trap, "a kernel failed while it ran (a trap?)"},
      {CUDA_ERROR_ASSERT, Fault::Kind::assertion, "an assertion failed in a kernel"},
      {CUDA_ERROR_HARDWARE_STACK_ERROR, Fault::Kind::stack_overflow,
       "a kernel overflowed its stack"},
      {CUDA_ERROR_LAUNCH_TIMEOUT, Fault::Kind::timeout, "a kernel ran too long"},
      {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, Fault::Kind::launch_failed,
       "a launch needs more registers or shared memory than the device has"},
      {CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, Fault::Kind::launch_failed,
       "a cooperative launch has more blocks than fit on the device at once"},
      {CUDA_ERROR_INVALID_CLUSTER_SIZE, Fault::Kind::launch_failed,
       "a launch's cluster size is not possible"},
      {CUDA_ERROR_INVALID_VALUE, Fault::Kind::launch_failed,
       "a launch's configuration is not possible on this device"},
      {CUDA_ERROR_INVALID_IMAGE, Fault::Kind::launch_failed,
       "the device code does not fit this device"},
      {CUDA_ERROR_NO_BINARY_FOR_GPU, Fault::Kind::launch_failed,
       "the device code was compiled for another architecture"},
  };
  for (const Row& row : rows) {
    if (row.result != result) continue;
    Fault fault;
    fault.kind = row.kind;
    fault.reason = name(row.kind);
    fault.kernel = kernel;
    fault.explanation =
        fmt::format("{}{} ({})", row.sentence, kernel.empty() ? "" : ": kernel " + kernel,
                    describe(driver, result));
    return fault;
  }
  return std::nullopt;
}

}  // namespace assay::cuda
