// How large a plan may be. The recording runtime stops a candidate that passes a limit with a
// sentence; the parsers of recordings and plans refuse what claims to be larger.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assay::plan_limits {

inline constexpr size_t kOperations = 10'000;
inline constexpr size_t kAllocations = 4'096;
inline constexpr size_t kDependencies = 100'000;   // of all operations together
inline constexpr size_t kParameterBytes = 32'764;  // of one launch: CUDA's own limit
inline constexpr size_t kParameterBytesTotal = size_t{4} << 20;
inline constexpr size_t kLiteralBytesTotal = size_t{1} << 20;
inline constexpr size_t kNameBytes = size_t{64} << 10;  // mangled names can be long
inline constexpr uint64_t kAllocationBytes = uint64_t{1} << 46;
inline constexpr uint64_t kCopyRows = uint64_t{1} << 32;
inline constexpr size_t kPlanTextBytes = size_t{16} << 20;  // of the JSON form
inline constexpr uint32_t kTensorMapBytes = 128;            // sizeof(CUtensorMap)
inline constexpr uint32_t kTensorMapAlignment = 64;

/// A launch parameter may point this far outside its allocation: kernels sometimes pass a pointer
/// moved before its buffer and only use it with offsets that lead back inside.
inline constexpr int64_t kPointerSlackBytes = int64_t{16} << 20;

}  // namespace assay::plan_limits
