#include "evaluator/device/cuda/context.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <thread>

namespace assay::cuda {

namespace {

constexpr size_t kPrintfBytes = 1 << 20;
constexpr size_t kHeapBytes = 8 << 20;
constexpr size_t kStackBytes = 1 << 10;

uint32_t attribute(const Driver& driver, CUdevice device, CUdevice_attribute which) {
  int value = 0;
  driver.cuDeviceGetAttribute(&value, which, device);
  return static_cast<uint32_t>(value);
}

std::string uuid_text(const CUuuid& uuid) {
  std::string text = "GPU-";
  for (size_t i = 0; i < sizeof uuid.bytes; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

DeviceInfo read_info(const Driver& driver, CUdevice device, int ordinal) {
  DeviceInfo info;
  const auto get = [&](CUdevice_attribute which) { return attribute(driver, device, which); };
  info.id = fmt::format("cuda:{}", ordinal);
  std::array<char, 128> name{};
  driver.cuDeviceGetName(name.data(), static_cast<int>(name.size()), device);
  info.name = name.data();
  CUuuid uuid{};
  driver.cuDeviceGetUuid_v2(&uuid, device);
  info.uuid = uuid_text(uuid);
  int version = 0;
  driver.cuDriverGetVersion(&version);
  info.driver = fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10);
  info.compute_major = static_cast<int>(get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
  info.compute_minor = static_cast<int>(get(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
  info.multiprocessors = get(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  info.warp_size = get(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
  info.max_threads_per_block = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  info.max_threads_per_multiprocessor = get(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
  info.max_blocks_per_multiprocessor = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);
  info.registers_per_block = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
  info.registers_per_multiprocessor = get(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR);
  info.shared_per_block_bytes = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
  info.shared_per_block_optin_bytes = get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  info.shared_per_multiprocessor_bytes =
      get(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
  info.shared_reserved_per_block_bytes = get(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
  info.max_grid[0] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X);
  info.max_grid[1] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y);
  info.max_grid[2] = get(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z);
  info.max_block[0] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X);
  info.max_block[1] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y);
  info.max_block[2] = get(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z);
  info.l2_bytes = get(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  info.clock_khz = get(CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
  info.memory_clock_khz = get(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
  info.memory_bus_bits = get(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
  size_t memory = 0;
  driver.cuDeviceTotalMem_v2(&memory, device);
  info.global_memory_bytes = memory;
  return info;
}

}  // namespace

Result<std::unique_ptr<Context>> Context::create(int ordinal) {
  ASSIGN_OR_RETURN(const Driver* driver, load_driver());
  int count = 0;
  driver->cuDeviceGetCount(&count);
  if (ordinal < 0 || ordinal >= count)
    return Error{ErrorKind::not_found,
                 fmt::format("there is no GPU number {}; this machine has {}", ordinal, count)};
  std::unique_ptr<Context> context(new Context(*driver));
  CUdevice device = 0;
  RETURN_IF_ERROR(expect(*driver, driver->cuDeviceGet(&device, ordinal), "opening the GPU"));
  RETURN_IF_ERROR(expect(
      *driver, driver->cuCtxCreate_v4(&context->context_, nullptr, CU_CTX_SCHED_SPIN, device),
      "making a context on the GPU (is it busy with another process?)"));
  RETURN_IF_ERROR(expect(*driver, driver->cuStreamCreate(&context->stream_, CU_STREAM_DEFAULT),
                         "making a stream"));
  context->info_ = read_info(*driver, device, ordinal);
  RETURN_IF_ERROR(context->restore_limits());
  return context;
}

Context::~Context() {
  if (lost_) return;
  if (stream_) driver_.cuStreamDestroy_v2(stream_);
  if (context_) driver_.cuCtxDestroy_v2(context_);
}

CUresult Context::wait(std::chrono::duration<double> deadline) const {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + deadline;
  for (int polls = 0;; ++polls) {
    const CUresult result = driver_.cuStreamQuery(stream_);
    if (result != CUDA_ERROR_NOT_READY) return result;
    if (Clock::now() > end) return CUDA_ERROR_NOT_READY;
    // Most work ends within microseconds; long kernels need no busy core.
    if (polls > 2000) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

Result<void> Context::restore_limits() const {
  const std::pair<CUlimit, size_t> limits[] = {{CU_LIMIT_STACK_SIZE, kStackBytes},
                                               {CU_LIMIT_PRINTF_FIFO_SIZE, kPrintfBytes},
                                               {CU_LIMIT_MALLOC_HEAP_SIZE, kHeapBytes},
                                               {CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 0}};
  for (const auto& [limit, value] : limits) {
    size_t current = 0;
    driver_.cuCtxGetLimit(&current, limit);
    if (current == value) continue;
    // The heap cannot be resized once device code used it; a fresh context has the right size.
    if (driver_.cuCtxSetLimit(limit, value) != CUDA_SUCCESS && limit == CU_LIMIT_STACK_SIZE)
      return Error{ErrorKind::device, "the device's stack limit cannot be set"};
  }
  return expect(driver_, driver_.cuCtxResetPersistingL2Cache(), "resetting persisting L2 lines");
}

}  // namespace assay::cuda
