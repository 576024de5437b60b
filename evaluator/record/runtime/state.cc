#include "evaluator/record/runtime/state.h"

#include <algorithm>
#include <iterator>

#include "evaluator/plan/limits.h"

namespace assay::recording {

namespace limits = plan_limits;

State::State(const Setup& setup) : setup_(setup), addresses_(setup.base) {
  for (uint32_t i = 0; i < setup_.tensors.size(); ++i) {
    plan_.allocations.push_back({Allocation::Kind::argument, i, "", setup_.tensors[i]});
    addresses_.place(setup_.tensors[i]);
  }
  for (const ModuleVariable& variable : setup_.variables) {
    variables_by_name_[variable.name] = static_cast<uint32_t>(plan_.allocations.size());
    plan_.allocations.push_back({Allocation::Kind::variable, 0, variable.name, variable.bytes});
    addresses_.place(variable.bytes);
  }
  for (uint32_t number = 0; number <= kPerThreadStream; ++number)
    streams_.push_back({.number = number, .flags = cudaStreamDefault, .frontier = {}});
}

// ---- memory

uint64_t State::allocate(uint64_t bytes, const char* function) {
  const double gib = static_cast<double>(uint64_t{1} << 30);
  const uint64_t memory = device().global_memory_bytes;
  if (bytes > memory || scratch_bytes_ > memory - bytes)
    fail("scratch_limit",
         "{} of {:.1f} GiB, after {:.1f} GiB before: the target {} has {:.1f} GiB of memory",
         function, static_cast<double>(bytes) / gib, static_cast<double>(scratch_bytes_) / gib,
         device().name, static_cast<double>(memory) / gib);
  if (plan_.allocations.size() >= limits::kAllocations)
    fail("plan_limits", "{}: more than {} allocations; allocate scratch memory once and reuse it",
         function, limits::kAllocations);
  const auto number = static_cast<uint32_t>(plan_.allocations.size());
  plan_.allocations.push_back({Allocation::Kind::scratch, 0, "", bytes});
  scratch_bytes_ += bytes;
  live_scratch_[number] = true;
  return addresses_.place(bytes);
}

void State::release(void* pointer, const char* function) {
  const auto location = addresses_.find(reinterpret_cast<uint64_t>(pointer));
  const auto live = location ? live_scratch_.find(location->allocation) : live_scratch_.end();
  if (live == live_scratch_.end() || location->offset != 0)
    fail("invalid_argument", "{}({}): not a pointer that cudaMalloc returned to solve()", function,
         pointer);
  if (!live->second) fail("invalid_argument", "{}({}): freed twice", function, pointer);
  live->second = false;
}

Location State::locate(const void* pointer, uint64_t bytes, const char* function) {
  const auto location = addresses_.find(reinterpret_cast<uint64_t>(pointer));
  if (!location)
    fail("invalid_argument", "{}: {} is not a pointer to device memory", function, pointer);
  const uint64_t size = plan_.allocations[location->allocation].bytes;
  if (location->offset < 0 || static_cast<uint64_t>(location->offset) > size ||
      bytes > size - static_cast<uint64_t>(location->offset))
    fail("invalid_argument", "{}: {} bytes from byte {} on do not fit into {} ({} bytes)", function,
         bytes, location->offset, describe(location->allocation), size);
  return *location;
}

std::string State::describe(uint32_t number) const {
  const Allocation& allocation = plan_.allocations[number];
  switch (allocation.kind) {
    case Allocation::Kind::argument:
      return "tensor " + setup_.tensor_names[allocation.index];
    case Allocation::Kind::variable:
      return "variable " + allocation.name;
    case Allocation::Kind::scratch:
      break;
  }
  return "a scratch buffer";
}

void State::add_variable(const void* shadow, const char* name) {
  const auto found = variables_by_name_.find(std::string_view(name));
  if (found != variables_by_name_.end()) variables_[shadow] = found->second;
}

Location State::variable(const void* shadow, const char* function) {
  const auto found = variables_.find(shadow);
  if (found == variables_.end())
    fail("invalid_argument",
         "{}: the symbol is not a __device__ or __constant__ variable of the device code",
         function);
  return {found->second, 0};
}

uint64_t State::address(const Location& location) const {
  return addresses_.start(location.allocation) + static_cast<uint64_t>(location.offset);
}

void State::use_literal(uint64_t bytes, const char* function) {
  if (bytes > limits::kLiteralBytesTotal - literal_bytes_)
    fail("plan_limits",
         "{}: solve() copies more than {} bytes from the host; compute large tables on the device",
         function, limits::kLiteralBytesTotal);
  literal_bytes_ += bytes;
}

// ---- functions

void State::add_function(const void* stub, const char* name) {
  Function& function = functions_.emplace_back();
  function.name = name;
  for (const Kernel& kernel : setup_.kernels)
    if (kernel.name == function.name) function.kernel = &kernel;
  const uint32_t used = function.kernel ? function.kernel->static_shared_bytes : 0;
  const uint32_t most = device().shared_per_block_bytes;
  function.max_dynamic_shared_bytes = most > used ? most - used : 0;
  function_by_pointer_[stub] = &function;
  function_by_pointer_[&function] = &function;
}

Function* State::find_function(const void* stub_or_handle) {
  const auto found = function_by_pointer_.find(stub_or_handle);
  return found == function_by_pointer_.end() ? nullptr : found->second;
}

Function& State::function(const void* stub_or_handle, const char* caller) {
  Function* found = find_function(stub_or_handle);
  if (found == nullptr)
    fail("invalid_argument", "{}: the function is not a __global__ function of this file", caller);
  if (found->kernel == nullptr)
    fail("bad_plan", "{}: the device code has no kernel '{}'", caller, found->name);
  return *found;
}

// ---- streams

void Frontier::merge(const Frontier& other) {
  if (other.operations_.empty() || &other == this) return;
  std::vector<uint32_t> both;
  std::set_union(operations_.begin(), operations_.end(), other.operations_.begin(),
                 other.operations_.end(), std::back_inserter(both));
  operations_ = std::move(both);
}

namespace {

// Handles are numbers, not host addresses: equal in every recording, and of no use as pointers.
constexpr uint64_t kStreamHandles = 0x5000'0000;
constexpr uint64_t kEventHandles = 0x6000'0000;
constexpr uint64_t kHandleStep = 16;
constexpr size_t kMaxStreams = 256;
constexpr size_t kMaxEvents = 16'384;

template <typename Handle>
Handle handle(uint64_t first, size_t number) {
  return reinterpret_cast<Handle>(first + number * kHandleStep);
}

/// The place of a handle in its table; SIZE_MAX where it is no handle of the kind.
size_t number_of(const void* handle, uint64_t first, size_t count) {
  const auto value = reinterpret_cast<uint64_t>(handle);
  if (value < first || (value - first) % kHandleStep != 0) return SIZE_MAX;
  const size_t number = (value - first) / kHandleStep;
  return number < count ? number : SIZE_MAX;
}

}  // namespace

Stream& State::stream(cudaStream_t handle, const char* function) {
  if (handle == nullptr || handle == cudaStreamLegacy) return streams_[kLegacyStream];
  if (handle == cudaStreamPerThread) return streams_[kPerThreadStream];
  const size_t number = number_of(handle, kStreamHandles, streams_.size());
  if (number == SIZE_MAX || !streams_[number].alive)
    fail("invalid_argument", "{}: {} is not a stream, or a destroyed one", function,
         static_cast<const void*>(handle));
  return streams_[number];
}

cudaStream_t State::solve_stream() const { return handle<cudaStream_t>(kStreamHandles, 0); }

cudaStream_t State::create_stream(unsigned flags, int priority) {
  if (streams_.size() >= kMaxStreams)
    fail("plan_limits", "solve() creates more than {} streams", kMaxStreams);
  streams_.push_back({.number = static_cast<uint32_t>(streams_.size()),
                      .blocking = (flags & cudaStreamNonBlocking) == 0,
                      .flags = flags,
                      .priority = priority,
                      .frontier = host_});
  return handle<cudaStream_t>(kStreamHandles, streams_.size() - 1);
}

Event& State::event(cudaEvent_t handle, const char* function) {
  const size_t number = number_of(handle, kEventHandles, events_.size());
  if (number == SIZE_MAX || !events_[number].alive)
    fail("invalid_argument", "{}: {} is not an event, or a destroyed one", function,
         static_cast<const void*>(handle));
  return events_[number];
}

cudaEvent_t State::create_event() {
  if (events_.size() >= kMaxEvents)
    fail("plan_limits", "solve() creates more than {} events", kMaxEvents);
  events_.emplace_back();
  return handle<cudaEvent_t>(kEventHandles, events_.size() - 1);
}

Frontier State::reach(const Stream& stream) const {
  Frontier reached = stream.frontier;
  if (stream.number == kLegacyStream) {
    for (const Stream& other : streams_)
      if (other.blocking) reached.merge(other.frontier);
  } else if (stream.blocking) {
    reached.merge(streams_[kLegacyStream].frontier);
  }
  return reached;
}

Frontier State::reach_all() const {
  Frontier reached;
  for (const Stream& stream : streams_) reached.merge(stream.frontier);
  return reached;
}

void State::wait_on_host(const Frontier& frontier) {
  host_.merge(frontier);
  for (Stream& stream : streams_) stream.frontier.merge(frontier);
}

void State::add(Stream& stream, Action action) {
  if (plan_.operations.size() >= limits::kOperations)
    fail("plan_limits", "solve() asks for more than {} launches, memsets and copies",
         limits::kOperations);
  Operation& operation = plan_.operations.emplace_back();
  operation.action = std::move(action);
  operation.depends_on = reach(stream).operations();
  operation.stream = stream.number;
  dependencies_ += operation.depends_on.size();
  if (dependencies_ > limits::kDependencies)
    fail("plan_limits", "solve() ties its operations together with more than {} dependencies",
         limits::kDependencies);
  stream.frontier.replace_by(static_cast<uint32_t>(plan_.operations.size() - 1));
}

}  // namespace assay::recording
