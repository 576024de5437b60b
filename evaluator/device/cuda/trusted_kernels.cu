// The trusted kernels on a GPU: the element functions of check/trusted.h and tasks/fill_element.h,
// spread over threads. Compiled with -fmad=false, so that the bits equal those of the CPU.
//
// blockIdx.y is a slot: its region starts at slot_bases[first + blockIdx.y] + offset. Blocks of a
// slot share the elements with a grid stride.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "evaluator/check/element_copy.h"
#include "tasks/fill_element.h"

using namespace assay;

namespace {

__device__ char* region(const uint64_t* slot_bases, uint32_t first, uint64_t offset) {
  return reinterpret_cast<char*>(slot_bases[first + blockIdx.y] + offset);
}

__device__ uint64_t thread_number() { return uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
__device__ uint64_t thread_count() { return uint64_t{gridDim.x} * blockDim.x; }

}  // namespace

extern "C" __global__ void assay_fill(const uint64_t* slot_bases, uint32_t first, uint64_t offset,
                                      Fill fill, uint64_t seed, uint32_t generation_base) {
  void* data = region(slot_bases, first, offset);
  const FillKey key{seed, generation_base + first + blockIdx.y};
  const uint64_t units = fills::unit_count(fill);
  for (uint64_t unit = thread_number(); unit < units; unit += thread_count())
    fills::fill_unit(fill, key, unit, data);
}

/// Integers of a range below 2^32, for the same purpose as the kernel below.
template <typename T>
__device__ void fill_integers(T* data, const fills::Source& source, uint64_t elements) {
  const auto low = static_cast<int64_t>(source.fill.a);
  const auto range = static_cast<uint32_t>(source.fill.b - source.fill.a);
  const uint64_t units = (elements + 3) / 4;
  for (uint64_t unit = thread_number(); unit < units; unit += thread_count()) {
    const philox::Words words = source.block(fills::kMainStream, unit);
    T value[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) value[i] = static_cast<T>(low + __umulhi(words.word[i], range));
    if (4 * unit + 4 <= elements) {
      struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) Four {
        T value[4];
      };
      *reinterpret_cast<Four*>(data + 4 * unit) = {value[0], value[1], value[2], value[3]};
    } else {
      for (uint64_t i = 0; 4 * unit + i < elements; ++i) data[4 * unit + i] = value[i];
    }
  }
}

extern "C" __global__ void assay_fill_integers(const uint64_t* slot_bases, uint32_t first,
                                               uint64_t offset, Fill fill, uint64_t seed,
                                               uint32_t generation_base) {
  char* data = region(slot_bases, first, offset);
  const fills::Source source{fill, FillKey{seed, generation_base + first + blockIdx.y}};
  switch (fill.dtype) {
    case Dtype::i8:
    case Dtype::u8:
      return fill_integers(reinterpret_cast<int8_t*>(data), source, fill.elements);
    case Dtype::i16:
      return fill_integers(reinterpret_cast<int16_t*>(data), source, fill.elements);
    case Dtype::i32:
    case Dtype::u32:
      return fill_integers(reinterpret_cast<int32_t*>(data), source, fill.elements);
    default:
      return fill_integers(reinterpret_cast<int64_t*>(data), source, fill.elements);
  }
}

/// Normal and uniform fills of f32, f16 and bf16 for timing, where no host needs the same bits: the
/// same distribution and words, in single precision, many times as fast.
extern "C" __global__ void assay_fill_fast(const uint64_t* slot_bases, uint32_t first,
                                           uint64_t offset, Fill fill, uint64_t seed,
                                           uint32_t generation_base) {
  char* data = region(slot_bases, first, offset);
  const fills::Source source{fill, FillKey{seed, generation_base + first + blockIdx.y}};
  const bool normal = fill.kind == FillKind::normal;
  const auto a = static_cast<float>(fill.a);
  const auto b = static_cast<float>(normal ? fill.b : fill.b - fill.a);
  const float limit = fill.dtype == Dtype::f16 ? 65504.0f : 3.3e38f;
  const uint64_t units = (fill.elements + 3) / 4;
  for (uint64_t unit = thread_number(); unit < units; unit += thread_count()) {
    const philox::Words words = source.block(fills::kMainStream, unit);
    float value[4];
    if (normal) {
#pragma unroll
      for (int pair = 0; pair < 4; pair += 2) {
        const float uniform = (static_cast<float>(words.word[pair]) + 0.5f) * 2.3283064e-10f;
        const float radius = sqrtf(-2 * __logf(uniform));
        float sine, cosine;
        __sincosf(static_cast<float>(words.word[pair + 1]) * 1.4629180793e-9f, &sine, &cosine);
        value[pair] = radius * cosine;
        value[pair + 1] = radius * sine;
      }
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) value[i] = static_cast<float>(words.word[i] >> 8) * 5.9604645e-8f;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) value[i] = fminf(fmaxf(a + b * value[i], -limit), limit);
    const bool whole = 4 * unit + 4 <= fill.elements;
    if (fill.dtype == Dtype::f32) {
      auto* to = reinterpret_cast<float*>(data) + 4 * unit;
      if (whole)
        *reinterpret_cast<float4*>(to) = make_float4(value[0], value[1], value[2], value[3]);
      else
        for (uint64_t i = 0; 4 * unit + i < fill.elements; ++i) to[i] = value[i];
      continue;
    }
    ushort bits[4];
#pragma unroll
    for (int i = 0; i < 4; ++i)
      bits[i] = fill.dtype == Dtype::f16 ? __half_as_ushort(__float2half_rn(value[i]))
                                         : __bfloat16_as_ushort(__float2bfloat16_rn(value[i]));
    auto* to = reinterpret_cast<ushort*>(data) + 4 * unit;
    if (whole)
      *reinterpret_cast<ushort4*>(to) = make_ushort4(bits[0], bits[1], bits[2], bits[3]);
    else
      for (uint64_t i = 0; 4 * unit + i < fill.elements; ++i) to[i] = bits[i];
  }
}

extern "C" __global__ void assay_poison(const uint64_t* slot_bases, uint32_t first, uint64_t offset,
                                        Dtype dtype, uint64_t elements, uint64_t key) {
  void* data = region(slot_bases, first, offset);
  const uint64_t slot_key = key ^ (uint64_t{first + blockIdx.y} << 32);
  for (uint64_t i = thread_number(); i < elements; i += thread_count())
    trusted::store_bits(dtype, data, i, trusted::poison_bits(dtype, i, slot_key));
}

/// Garbage for timing, 16 bytes at a time: quiet NaNs of the width that `nan` repeats, or (nan = 0)
/// random words.
extern "C" __global__ void assay_poison_fast(const uint64_t* slot_bases, uint32_t first,
                                             uint64_t offset, uint64_t bytes, uint32_t nan,
                                             uint32_t payload, uint32_t key) {
  auto* data = reinterpret_cast<uint4*>(region(slot_bases, first, offset));
  if (thread_number() == 0)  // all ones are a NaN too
    for (uint64_t i = bytes / 16 * 16; i < bytes; ++i) reinterpret_cast<uint8_t*>(data)[i] = 0xff;
  for (uint64_t i = thread_number(); i < bytes / 16; i += thread_count()) {
    uint32_t x = static_cast<uint32_t>(i) * 0x9e3779b9u ^ key ^ (first + blockIdx.y) * 0x85ebca6bu;
    x = (x ^ x >> 15) * 0x2c1b3c6du;
    x ^= x >> 13;
    const auto word = [&](uint32_t bits) { return (bits & payload) | nan; };
    data[i] = make_uint4(word(x), word(x * 0x297a2d39u), word(x * 0x7feb352du), word(x * 0x846ca68bu));
  }
}

extern "C" __global__ void assay_write_red_zones(const uint64_t* slot_bases, uint32_t first,
                                                 uint64_t offset, uint64_t bytes, uint64_t key) {
  auto* data = reinterpret_cast<uint8_t*>(region(slot_bases, first, offset));
  for (uint64_t i = thread_number(); i < trusted::kRedZoneBytes; i += thread_count()) {
    data[i - trusted::kRedZoneBytes] = trusted::red_zone_byte(i, key);
    data[bytes + i] = trusted::red_zone_byte(i, key + 1);
  }
}

extern "C" __global__ void assay_check_red_zones(const uint64_t* slot_bases, uint32_t first,
                                                 uint64_t offset, uint64_t bytes, uint64_t key,
                                                 unsigned long long* result) {
  const auto* data = reinterpret_cast<const uint8_t*>(region(slot_bases, first, offset));
  for (uint64_t i = thread_number(); i < trusted::kRedZoneBytes; i += thread_count()) {
    if (data[i - trusted::kRedZoneBytes] != trusted::red_zone_byte(i, key)) atomicAdd(result, 1ull);
    if (data[bytes + i] != trusted::red_zone_byte(i, key + 1)) atomicAdd(result + 1, 1ull);
  }
}

namespace {

__device__ uint32_t key_word(uint32_t index, uint32_t key) {
  uint32_t x = index * 0x9e3779b9u + key;
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}

}  // namespace

/// The keyed hash of timed inputs: NH of UMAC (RFC 4418, section 5.2) over 16-byte blocks with key
/// words from a counter, summed over all blocks and slots. `bytes` is a multiple of 16 or the tail
/// is taken byte by byte.
extern "C" __global__ void assay_hash_fast(const uint64_t* slot_bases, uint32_t first,
                                           uint64_t offset, uint64_t bytes, uint64_t key,
                                           unsigned long long* result) {
  const char* data = region(slot_bases, first, offset);
  const uint32_t slot = key_word(first + blockIdx.y, static_cast<uint32_t>(key >> 32));
  const auto low = static_cast<uint32_t>(key) ^ slot;
  uint64_t sum = 0;
  for (uint64_t i = thread_number(); i < bytes / 16; i += thread_count()) {
    const uint4 block = reinterpret_cast<const uint4*>(data)[i];
    const uint32_t a = key_word(static_cast<uint32_t>(i), low + static_cast<uint32_t>(i >> 32));
    const uint32_t b = a * 0x297a2d39u + slot;
    sum += uint64_t{block.x + a} * (block.y + (a ^ slot)) +
           uint64_t{block.z + b} * (block.w + (b ^ a));
  }
  if (thread_number() == 0)
    for (uint64_t i = bytes / 16 * 16; i < bytes; ++i)
      sum += trusted::mix(static_cast<uint8_t>(data[i]) ^ trusted::mix(i ^ key ^ slot));
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffff, sum, step);
  if (threadIdx.x % 32 == 0) atomicAdd(result, static_cast<unsigned long long>(sum));
}

extern "C" __global__ void assay_hash(const uint64_t* slot_bases, uint32_t first, uint64_t offset,
                                      uint64_t bytes, uint64_t key, unsigned long long* result) {
  const char* data = region(slot_bases, first, offset);
  const uint64_t words = (bytes + 7) / 8;
  uint64_t sum = 0;
  for (uint64_t i = thread_number(); i < words; i += thread_count()) {
    uint64_t word = 0;
    if (8 * i + 8 <= bytes) {
      word = reinterpret_cast<const uint64_t*>(data)[i];
    } else {
      for (uint64_t b = 8 * i; b < bytes; ++b)
        word |= uint64_t{static_cast<uint8_t>(data[b])} << (8 * (b - 8 * i));
    }
    sum += trusted::hash_word(word, i, key);
  }
  // Slot 0's hash is that of the CPU; others are told apart by their number.
  const uint32_t slot = first + blockIdx.y;
  atomicAdd(result, static_cast<unsigned long long>(slot == 0 ? sum : sum * (2ull * slot + 1)));
}

/// Copies one of `count` contents of a pool to each slot. Regions start at multiples of 256 bytes.
extern "C" __global__ void assay_deal(const uint64_t* slot_bases, uint32_t first, uint64_t offset,
                                      uint64_t bytes, const char* pool, uint32_t count,
                                      uint64_t key) {
  char* data = region(slot_bases, first, offset);
  const uint64_t member = trusted::mix(key ^ (first + blockIdx.y)) % count;
  const char* from = pool + member * bytes;
  if (bytes % 4 == 0) {
    for (uint64_t i = thread_number(); i < bytes / 4; i += thread_count())
      reinterpret_cast<uint32_t*>(data)[i] = reinterpret_cast<const uint32_t*>(from)[i];
  } else {
    for (uint64_t i = thread_number(); i < bytes; i += thread_count()) data[i] = from[i];
  }
}

extern "C" __global__ void assay_compare(const uint64_t* slot_bases, uint32_t first,
                                         uint64_t got_offset, uint64_t want_offset,
                                         const uint64_t* want_slot_bases, Dtype dtype,
                                         uint64_t elements, double atol, double rtol,
                                         trusted::ComparisonPart* parts) {
  const void* got = region(slot_bases, first, got_offset);
  const void* want = region(want_slot_bases, first, want_offset);
  const uint64_t base = uint64_t{blockIdx.y} * elements;
  trusted::ComparisonPart part = trusted::empty_part();
  for (uint64_t i = thread_number(); i < elements; i += thread_count())
    trusted::add(part,
                 trusted::judge(dtype, trusted::load_bits(dtype, got, i),
                                trusted::load_bits(dtype, want, i),
                                element::load(dtype, got, i), element::load(dtype, want, i), atol,
                                rtol),
                 base + i);
  __shared__ trusted::ComparisonPart shared[128];
  shared[threadIdx.x] = part;
  for (unsigned step = blockDim.x / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) trusted::combine(shared[threadIdx.x], shared[threadIdx.x + step]);
  }
  if (threadIdx.x == 0) parts[uint64_t{blockIdx.y} * gridDim.x + blockIdx.x] = shared[0];
}

/// Folds `count` parts into parts[0]; one block of 128 threads.
extern "C" __global__ void assay_fold(trusted::ComparisonPart* parts, uint64_t count) {
  trusted::ComparisonPart part = trusted::empty_part();
  for (uint64_t i = threadIdx.x; i < count; i += blockDim.x) trusted::combine(part, parts[i]);
  __shared__ trusted::ComparisonPart shared[128];
  shared[threadIdx.x] = part;
  for (unsigned step = blockDim.x / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) trusted::combine(shared[threadIdx.x], shared[threadIdx.x + step]);
  }
  __syncthreads();
  if (threadIdx.x == 0) parts[0] = shared[0];
}

/// An element copy of a plan.
extern "C" __global__ void assay_copy_elements(ElementGrid elements, void* target,
                                               const void* source) {
  const uint64_t count = elements.count();
  for (uint64_t i = thread_number(); i < count; i += thread_count())
    trusted::copy_element(elements, target, source, i);
}

/// Reads a clean buffer; `sink` is never written, but the compiler cannot know.
extern "C" __global__ void assay_flush(const uint4* data, uint64_t count, uint32_t* sink) {
  uint32_t seen = 0;
  for (uint64_t i = thread_number(); i < count; i += thread_count()) {
    const uint4 value = data[i];
    seen |= value.x | value.y | value.z | value.w;
  }
  if (seen == 0x5eed5eed) *sink = seen;
}

/// One block per multiprocessor, kept apart by its shared memory: where and when it ran.
extern "C" __global__ void assay_stamp(unsigned long long* stamps) {
  if (threadIdx.x != 0) return;
  unsigned multiprocessor;
  unsigned long long time;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(multiprocessor));
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(time));
  stamps[2 * multiprocessor] = time;
  stamps[2 * multiprocessor + 1] = clock64();
}

/// Hashes `bytes` bytes (a multiple of 8) at `data`; one block.
extern "C" __global__ void assay_probe(const uint64_t* data, uint64_t bytes, uint64_t key,
                                       unsigned long long* result) {
  uint64_t sum = 0;
  for (uint64_t i = threadIdx.x; i < bytes / 8; i += blockDim.x)
    sum += trusted::hash_word(data[i], i, key);
  atomicAdd(result, static_cast<unsigned long long>(sum));
}

extern "C" __global__ void assay_empty() {}

/// A chain of dependent products and sums: the same number of cycles whenever it has the
/// multiprocessors to itself. `sink` is never written, but the compiler cannot know.
extern "C" __global__ void assay_ruler(uint32_t steps, float* sink) {
  float value = threadIdx.x;
  for (uint32_t step = 0; step < steps; ++step) value = __fmaf_rn(value, 0.999f, 0.5f);
  if (value == 0.123f) *sink = value;
}
