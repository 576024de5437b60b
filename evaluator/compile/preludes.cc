#include "evaluator/compile/preludes.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace assay {
namespace {

/// What nvcc declares in every host pass without an #include. cuda_runtime.h shows its templates
/// (cudaMemcpyToSymbol, cudaFuncSetAttribute ...) only to CUDA compilers; the device functions that
/// it would then include are left out by their include guards.
constexpr const char* kHostStart = R"(
#define __COMMON_FUNCTIONS_H__
#define __DEVICE_FUNCTIONS_H__
#define __DEVICE_LAUNCH_PARAMETERS_H__
#define __CUDACC__
#include <cuda_runtime.h>
#undef __CUDACC__
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <utility>
#define ASSAY_SMALLER_AND_LARGER(T, A, B) \
  static inline T min(A a, B b) { return (T)a < (T)b ? (T)a : (T)b; } \
  static inline T max(A a, B b) { return (T)a < (T)b ? (T)b : (T)a; }
ASSAY_SMALLER_AND_LARGER(int, int, int)
ASSAY_SMALLER_AND_LARGER(unsigned, unsigned, unsigned)
ASSAY_SMALLER_AND_LARGER(unsigned, int, unsigned)
ASSAY_SMALLER_AND_LARGER(unsigned, unsigned, int)
ASSAY_SMALLER_AND_LARGER(long, long, long)
ASSAY_SMALLER_AND_LARGER(unsigned long, unsigned long, unsigned long)
ASSAY_SMALLER_AND_LARGER(unsigned long, long, unsigned long)
ASSAY_SMALLER_AND_LARGER(unsigned long, unsigned long, long)
ASSAY_SMALLER_AND_LARGER(long long, long long, long long)
ASSAY_SMALLER_AND_LARGER(unsigned long long, unsigned long long, unsigned long long)
ASSAY_SMALLER_AND_LARGER(unsigned long long, long long, unsigned long long)
ASSAY_SMALLER_AND_LARGER(unsigned long long, unsigned long long, long long)
ASSAY_SMALLER_AND_LARGER(float, float, float)
ASSAY_SMALLER_AND_LARGER(double, double, double)
ASSAY_SMALLER_AND_LARGER(double, float, double)
ASSAY_SMALLER_AND_LARGER(double, double, float)
#undef ASSAY_SMALLER_AND_LARGER
extern "C" {
unsigned __cudaPushCallConfiguration(dim3, dim3, size_t = 0, struct CUstream_st* = 0);
cudaError_t __cudaPopCallConfiguration(dim3*, dim3*, size_t*, void*);
void** __cudaRegisterFatBinary(void*);
void __cudaRegisterFatBinaryEnd(void**);
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, uint3*, uint3*, dim3*,
                            dim3*, int*);
void __cudaRegisterVar(void**, char*, char*, const char*, int, size_t, int, int);
}
namespace nvcuda { namespace wmma {} namespace experimental {} }
namespace cooperative_groups {}
namespace cub {}
namespace cuda { namespace std {} namespace ptx {} }
)";

/// Registers the kernels and variables of the host half as nvcc's start-up code does. Their
/// symbols are known to the assembler only, so each adds a record to a section of its own; the
/// comments #assay-... tell the same to ptx_names.
constexpr const char* kHostEnd = R"(
#define ASSAY_KERNEL_RECORD "#assay-kernel %c0\n" \
  ".pushsection assay_kernels,\"aw\"\n.quad %c0, 771f\n.popsection\n" \
  ".pushsection .rodata.assay,\"a\"\n771: .asciz \"%c0\"\n.popsection"
#define ASSAY_VARIABLE_RECORD "#assay-variable %c0\n" \
  ".pushsection assay_variables,\"aw\"\n.quad %c0, 771f, %c1, %c2\n.popsection\n" \
  ".pushsection .rodata.assay,\"a\"\n771: .asciz \"%c0\"\n.popsection"
#define ASSAY_REGISTER_VARIABLE(name, id, constant) \
  __attribute__((used)) static void assay_variable_##id() { \
    asm volatile(ASSAY_VARIABLE_RECORD::"i"(&name), "i"(sizeof(name)), "i"(constant)); }
#undef __global__
#define __global__ __attribute__((used, noinline, noclone, visibility("hidden")))
#undef __device__
#define __device__ __attribute__((visibility("hidden")))
#undef __constant__
#define __constant__ __attribute__((visibility("hidden")))
#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __maxnreg__
#define __maxnreg__(...)
#undef __cluster_dims__
#define __cluster_dims__(...)
#undef __block_size__
#define __block_size__(...)
namespace assay_launcher {
struct KernelRecord { void* address; const char* name; };
struct VariableRecord { char* address; const char* name; size_t bytes; size_t constant; };
extern "C" __attribute__((weak, visibility("hidden"))) KernelRecord __start_assay_kernels[],
    __stop_assay_kernels[];
extern "C" __attribute__((weak, visibility("hidden"))) VariableRecord __start_assay_variables[],
    __stop_assay_variables[];
static struct { int magic, version; const void* data; void* name; } fatbin
    __attribute__((aligned(8), section(".nvFatBinSegment"), used)) = {0x466243b1, 1, 0, 0};
static const unsigned long long fatbin_header[2] = {0x00100001ba55ed50ull, 0};
__attribute__((constructor(101))) static void register_all() {
  fatbin.data = fatbin_header;
  void** handle = __cudaRegisterFatBinary(&fatbin);
  for (KernelRecord* k = __start_assay_kernels; k != __stop_assay_kernels; ++k)
    __cudaRegisterFunction(handle, (const char*)k->address, (char*)k->name, k->name, -1, 0, 0, 0,
                           0, 0);
  for (VariableRecord* v = __start_assay_variables; v != __stop_assay_variables; ++v)
    __cudaRegisterVar(handle, v->address, (char*)v->name, v->name, 0, v->bytes, (int)v->constant,
                      0);
  __cudaRegisterFatBinaryEnd(handle);
}
__attribute__((noinline)) static void launch(const void* kernel, void** arguments) {
  dim3 grid, block;
  size_t shared = 0;
  cudaStream_t stream = 0;
  if (__cudaPopCallConfiguration(&grid, &block, &shared, &stream) == cudaSuccess)
    cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}
}
)";

/// What nvcc's device pass declares without an #include and NVRTC does not. libcu++ has integer
/// types of its own under NVRTC (64-bit ones are long long there, which a kernel's symbol shows).
constexpr const char* kDeviceIntegers = R"(
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long uint64_t;
typedef long intptr_t;
typedef unsigned long uintptr_t;
)";

/// Constants of math.h, where no header has brought them; std stands empty so that a using
/// directive is no error.
constexpr const char* kDeviceEnd = R"(
typedef struct CUstream_st* cudaStream_t;
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif
#ifndef HUGE_VALF
#define HUGE_VALF __int_as_float(0x7f800000)
#define HUGE_VAL __longlong_as_double(0x7ff0000000000000LL)
#endif
#ifndef M_PI
#define M_E 2.7182818284590452354
#define M_LOG2E 1.4426950408889634074
#define M_LOG10E 0.43429448190325182765
#define M_LN2 0.69314718055994530942
#define M_LN10 2.30258509299404568402
#define M_PI 3.14159265358979323846
#define M_PI_2 1.57079632679489661923
#define M_PI_4 0.78539816339744830962
#define M_1_PI 0.31830988618379067154
#define M_2_PI 0.63661977236758134308
#define M_2_SQRTPI 1.12837916709551257390
#define M_SQRT2 1.41421356237309504880
#define M_SQRT1_2 0.70710678118654752440
#endif
namespace std {}
)";

constexpr const char* kFloatLimits = R"(
#define FLT_RADIX 2
#define FLT_MANT_DIG 24
#define FLT_DIG 6
#define FLT_MIN_EXP (-125)
#define FLT_MAX_EXP 128
#define FLT_MIN_10_EXP (-37)
#define FLT_MAX_10_EXP 38
#define FLT_MAX 3.40282346638528859811704183484516925e+38F
#define FLT_MIN 1.17549435082228750796873653722224568e-38F
#define FLT_EPSILON 1.19209289550781250000000000000000000e-7F
#define DBL_MANT_DIG 53
#define DBL_DIG 15
#define DBL_MIN_EXP (-1021)
#define DBL_MAX_EXP 1024
#define DBL_MAX ((double)1.79769313486231570814527423731704357e+308L)
#define DBL_MIN ((double)2.22507385850720138309023271733240406e-308L)
#define DBL_EPSILON ((double)2.22044604925031308084726333618164062e-16L)
)";

constexpr const char* kIntegerLimits = R"(
#define CHAR_BIT 8
#define SCHAR_MIN (-127 - 1)
#define SCHAR_MAX 127
#define UCHAR_MAX 255
#define CHAR_MIN SCHAR_MIN
#define CHAR_MAX SCHAR_MAX
#define SHRT_MIN (-32767 - 1)
#define SHRT_MAX 32767
#define USHRT_MAX 65535
#define INT_MIN (-2147483647 - 1)
#define INT_MAX 2147483647
#define UINT_MAX 4294967295U
#define LONG_MIN (-9223372036854775807L - 1L)
#define LONG_MAX 9223372036854775807L
#define ULONG_MAX 18446744073709551615UL
#define LLONG_MIN (-9223372036854775807LL - 1LL)
#define LLONG_MAX 9223372036854775807LL
#define ULLONG_MAX 18446744073709551615ULL
)";

constexpr const char* kFixedWidthLimits = R"(
#define INT8_MIN (-128)
#define INT8_MAX 127
#define UINT8_MAX 255
#define INT16_MIN (-32767 - 1)
#define INT16_MAX 32767
#define UINT16_MAX 65535
#define INT32_MIN (-2147483647 - 1)
#define INT32_MAX 2147483647
#define UINT32_MAX 4294967295U
#define INT64_MIN (-9223372036854775807L - 1L)
#define INT64_MAX 9223372036854775807L
#define UINT64_MAX 18446744073709551615UL
#define SIZE_MAX 18446744073709551615UL
)";

/// Standard headers that cost little to read and declare nothing for device code but these macros.
const std::map<std::string_view, std::string_view>& light_headers() {
  static const std::map<std::string_view, std::string_view> headers = {
      {"assert.h", ""},
      {"cassert", ""},
      {"cctype", ""},
      {"cerrno", ""},
      {"cmath", ""},
      {"cstdarg", ""},
      {"cstddef", ""},
      {"cstdio", ""},
      {"cstdlib", ""},
      {"cstring", ""},
      {"ctime", ""},
      {"ctype.h", ""},
      {"errno.h", ""},
      {"math.h", ""},
      {"stdarg.h", ""},
      {"stdbool.h", ""},
      {"stddef.h", ""},
      {"stdio.h", ""},
      {"stdlib.h", ""},
      {"string.h", ""},
      {"time.h", ""},
      {"new", ""},
      {"utility", ""},
      {"cfloat", kFloatLimits},
      {"float.h", kFloatLimits},
      {"climits", kIntegerLimits},
      {"limits.h", kIntegerLimits},
      {"cstdint", kFixedWidthLimits},
      {"stdint.h", kFixedWidthLimits},
      {"inttypes.h", kFixedWidthLimits},
      {"cinttypes", kFixedWidthLimits}};
  return headers;
}

/// Standard headers that are costly to read, in two groups by what loading them precompiled costs:
/// 60 ms with the first, 210 ms with both. The host half gets a whole group as soon as it includes
/// one of its headers. Device code that uses them is for nvcc.
const std::set<std::string_view>& common_headers() {
  static const std::set<std::string_view> headers = {
      "algorithm", "array", "cstdlib",     "functional", "initializer_list", "iterator", "limits",
      "numeric",   "tuple", "type_traits", "vector"};
  return headers;
}
const std::set<std::string_view>& heavy_headers() {
  static const std::set<std::string_view> headers = {
      "bitset",      "chrono",        "complex",       "deque",  "exception", "iomanip",
      "iostream",    "list",          "map",           "memory", "optional",  "queue",
      "random",      "set",           "sstream",       "stack",  "stdexcept", "string",
      "string_view", "unordered_map", "unordered_set", "variant"};
  return headers;
}

/// CUDA headers that both halves have without asking.
const std::set<std::string_view>& built_in_headers() {
  static const std::set<std::string_view> headers = {
      "cuda_runtime.h",           "cuda_runtime_api.h", "device_launch_parameters.h",
      "vector_types.h",           "vector_functions.h", "builtin_types.h",
      "device_functions.h",       "driver_types.h",     "math_functions.h",
      "cuda_device_runtime_api.h"};
  return headers;
}

/// CUDA headers with types that host code uses too; each includes those before it.
const std::vector<std::string_view>& type_headers() {
  static const std::vector<std::string_view> headers = {"cuda_fp16.h", "cuda_bf16.h", "cuda_fp8.h"};
  return headers;
}

/// CUDA headers for device code; the host half knows only the names of their namespaces. CUB is not
/// among them: NVRTC refuses the host functions in its headers.
bool is_device_header(std::string_view name) {
  static const std::set<std::string_view> headers = {"mma.h",
                                                     "cooperative_groups.h",
                                                     "cuda_pipeline.h",
                                                     "cuda_pipeline_primitives.h",
                                                     "cuda_awbarrier.h",
                                                     "cuda_awbarrier_primitives.h",
                                                     "math_constants.h",
                                                     "cooperative_groups/reduce.h",
                                                     "cooperative_groups/scan.h",
                                                     "cooperative_groups/memcpy_async.h",
                                                     "cuda/barrier",
                                                     "cuda/pipeline",
                                                     "cuda/atomic",
                                                     "cuda/std/atomic",
                                                     "cuda/std/type_traits",
                                                     "cuda/std/limits",
                                                     "cuda/std/cstdint",
                                                     "cuda/std/utility",
                                                     "cuda/std/array",
                                                     "cuda/std/tuple",
                                                     "cuda/std/cmath",
                                                     "cuda/ptx"};
  return headers.contains(name);
}

/// Headers that do not bring libcu++.
bool type_like(std::string_view name) {
  return name == "mma.h" || name == "math_constants.h" ||
         std::find(type_headers().begin(), type_headers().end(), name) != type_headers().end();
}

std::string include_line(std::string_view name) { return "#include <" + std::string(name) + ">\n"; }

}  // namespace

std::optional<Preludes> make_preludes(const std::vector<std::string>& includes) {
  std::set<std::string_view> device;  // CUDA headers of the device half
  std::set<std::string_view> light;
  size_t types = 0;  // how many of type_headers() the host half needs
  bool common = false;
  bool heavy = false;
  for (const std::string& name : includes) {
    if (built_in_headers().contains(name)) continue;
    bool known = false;
    for (size_t i = 0; i < type_headers().size(); ++i) {
      if (type_headers()[i] != name) continue;
      types = std::max(types, i + 1);
      known = true;
      device.insert(name);
    }
    if (light_headers().contains(name)) {
      light.insert(name);
    } else if (common_headers().contains(name)) {
      common = true;
    } else if (heavy_headers().contains(name)) {
      heavy = true;
    } else if (is_device_header(name)) {
      device.insert(name);
      if (name == "mma.h") types = std::max<size_t>(types, 2);  // it includes both 16-bit types
    } else if (!known) {
      return {};
    }
  }
  Preludes preludes;
  bool integers = false;  // some header brings libcu++ and its integer types
  for (const std::string_view name : device) {
    preludes.device.precompiled += include_line(name);
    integers |= !type_like(name);
  }
  if (!integers) preludes.device.precompiled += kDeviceIntegers;
  preludes.device.rest = kDeviceEnd;
  preludes.host.precompiled = kHostStart;
  for (size_t i = 0; i < types; ++i) preludes.host.precompiled += include_line(type_headers()[i]);
  if (common || heavy)
    for (const std::string_view name : common_headers())
      preludes.host.precompiled += include_line(name);
  if (heavy)
    for (const std::string_view name : heavy_headers())
      preludes.host.precompiled += include_line(name);
  for (const std::string_view name : light) {
    preludes.host.rest += include_line(name);
    preludes.device.rest += light_headers().at(name);
  }
  preludes.host.rest += kHostEnd;
  return preludes;
}

}  // namespace assay
