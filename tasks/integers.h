// Fixed-width integers and function qualifiers for the headers that run on the CPU and on a GPU:
// NVRTC has no standard headers.
#pragma once

#ifdef __CUDACC_RTC__
namespace assay {
using uint8_t = unsigned char;
using int8_t = signed char;
using uint16_t = unsigned short;
using int16_t = short;
using uint32_t = unsigned int;
using int32_t = int;
using uint64_t = unsigned long long;
using int64_t = long long;
}  // namespace assay
#else
#include <cstddef>
#include <cstdint>
#endif

#ifdef __CUDACC__
#define ASSAY_HOST_DEVICE __host__ __device__
#else
#define ASSAY_HOST_DEVICE
#endif
