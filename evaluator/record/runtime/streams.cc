// Streams, events and waits: they only decide what an operation must come after.
#include "evaluator/record/runtime/state.h"

namespace assay::recording {

namespace {

// As CUDA reports them: lower numbers are served first.
constexpr int kLeastPriority = 0;
constexpr int kGreatestPriority = -5;

cudaError_t create_stream(cudaStream_t* stream, unsigned flags, int priority) {
  if (stream == nullptr || (flags & ~unsigned{cudaStreamNonBlocking}) != 0)
    return error(cudaErrorInvalidValue);
  *stream = state().create_stream(flags, priority);
  return cudaSuccess;
}

cudaError_t create_event(cudaEvent_t* event, unsigned flags) {
  if (event == nullptr) return error(cudaErrorInvalidValue);
  if ((flags & cudaEventInterprocess) != 0)
    fail("unsupported_call", "cudaEventCreateWithFlags: there is no other process to share with");
  *event = state().create_event();
  return cudaSuccess;
}

/// Waiting for a stream and finding it done are the same: later operations come after it.
cudaError_t join(cudaStream_t stream, const char* function) {
  state().wait_on_host(state().reach(state().stream(stream, function)));
  return cudaSuccess;
}

cudaError_t join(cudaEvent_t event, const char* function) {
  state().wait_on_host(state().event(event, function).frontier);
  return cudaSuccess;
}

}  // namespace

extern "C" {

// ---- streams

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return create_stream(stream, cudaStreamDefault, kLeastPriority);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return create_stream(stream, flags, kLeastPriority);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return create_stream(stream, flags, priority);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Stream& stream = state().stream(handle, "cudaStreamDestroy");
  if (stream.number <= kPerThreadStream)
    fail("invalid_argument", "cudaStreamDestroy: solve() did not create this stream");
  stream.alive = false;
  return cudaSuccess;
}

cudaError_t cudaStreamGetFlags(cudaStream_t stream, unsigned* flags) {
  if (flags == nullptr) return error(cudaErrorInvalidValue);
  *flags = state().stream(stream, "cudaStreamGetFlags").flags;
  return cudaSuccess;
}

cudaError_t cudaStreamGetPriority(cudaStream_t stream, int* priority) {
  if (priority == nullptr) return error(cudaErrorInvalidValue);
  *priority = state().stream(stream, "cudaStreamGetPriority").priority;
  return cudaSuccess;
}

cudaError_t cudaStreamGetId(cudaStream_t stream, unsigned long long* id) {
  if (id == nullptr) return error(cudaErrorInvalidValue);
  *id = state().stream(stream, "cudaStreamGetId").number;
  return cudaSuccess;
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  if (device == nullptr) return error(cudaErrorInvalidValue);
  state().stream(stream, "cudaStreamGetDevice");
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  if (least != nullptr) *least = kLeastPriority;
  if (greatest != nullptr) *greatest = kGreatestPriority;
  return cudaSuccess;
}

cudaError_t cudaStreamSetAttribute(cudaStream_t stream, cudaStreamAttrID attribute,
                                   const cudaStreamAttrValue*) {
  state().stream(stream, "cudaStreamSetAttribute");
  if (attribute == cudaLaunchAttributeAccessPolicyWindow)
    fail("unsupported_call",
         "cudaStreamSetAttribute: access policy windows are not allowed: what stays in the L2 "
         "cache between runs is not the candidate's to decide");
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  if (status == nullptr) return error(cudaErrorInvalidValue);
  state().stream(stream, "cudaStreamIsCapturing");
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, cudaStreamCaptureStatus* status,
                                     unsigned long long*, cudaGraph_t*, const cudaGraphNode_t**,
                                     const cudaGraphEdgeData**, size_t*) {
  return cudaStreamIsCapturing(stream, status);
}

// ---- events

cudaError_t cudaEventCreate(cudaEvent_t* event) { return create_event(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return create_event(event, flags);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  state().event(event, "cudaEventDestroy").alive = false;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  state().event(event, "cudaEventRecord").frontier =
      state().reach(state().stream(stream, "cudaEventRecord"));
  return cudaSuccess;
}

cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return cudaEventRecord(event, stream);
}

cudaError_t cudaEventElapsedTime(float*, cudaEvent_t, cudaEvent_t) {
  fail("unsupported_call",
       "cudaEventElapsedTime: nothing runs while solve() is recorded, so there is no time to "
       "measure; choose configurations from the sizes, not from measurements");
}

// ---- waits

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Event& recorded = state().event(event, "cudaStreamWaitEvent");
  state().stream(stream, "cudaStreamWaitEvent").frontier.merge(recorded.frontier);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  state().wait_on_host(state().reach_all());
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return join(stream, "cudaStreamSynchronize");
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return join(stream, "cudaStreamQuery"); }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return join(event, "cudaEventSynchronize"); }
cudaError_t cudaEventQuery(cudaEvent_t event) { return join(event, "cudaEventQuery"); }

}  // extern "C"

}  // namespace assay::recording
