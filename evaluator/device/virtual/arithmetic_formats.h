// The number formats of PTX as C++ types, and the modifiers that arithmetic shares.
//
// f32 and f64 are float and double. The narrow formats are strong types around their bits, so that
// an executor can be a template over the type and overload resolution picks the arithmetic.
#pragma once

#include <bit>
#include <cstdint>

namespace assay::virtual_gpu {

struct F16 {
  uint16_t bits = 0;
};  // IEEE binary16
struct BF16 {
  uint16_t bits = 0;
};  // the upper half of an f32
struct TF32 {
  uint32_t bits = 0;
};  // an f32 whose 13 low mantissa bits do not count
struct E4M3 {
  uint8_t bits = 0;
};  // no infinities; NaN is 0x7f and 0xff; largest 448
struct E5M2 {
  uint8_t bits = 0;
};  // IEEE-like; largest finite 57344

/// Two values of a packed register: `low` in the lower half.
template <typename T>
struct Pair {
  T low{};
  T high{};
};
using F16x2 = Pair<F16>;
using BF16x2 = Pair<BF16>;
using E4M3x2 = Pair<E4M3>;
using E5M2x2 = Pair<E5M2>;

/// Rounding of a result that does not fit. For conversions to integers (.rni .rzi .rmi .rpi) the
/// same names without the i.
enum class Rounding : uint8_t {
  rn,   // nearest, ties to even
  rz,   // towards zero
  rm,   // towards minus infinity
  rp,   // towards plus infinity
  rna,  // nearest, ties away from zero (.tf32 only)
};

/// Modifiers of an arithmetic instruction.
struct FloatMode {
  Rounding rounding = Rounding::rn;
  bool ftz = false;   // f32, f16: subnormal operands and results become zero of the same sign
  bool sat = false;   // result clamped to [0, 1]; NaN becomes +0
  bool relu = false;  // f16 and bf16 fma: negative results become 0; NaN becomes canonical
  bool operator==(const FloatMode&) const = default;
};

/// The canonical NaNs that f32, f16 and bf16 arithmetic produces.
inline constexpr uint32_t kNanF32 = 0x7fffffffu;
inline constexpr uint16_t kNanF16 = 0x7fffu;
inline constexpr uint16_t kNanBF16 = 0x7fffu;

/// A value as the low bits of a register (upper bits zero), and back (upper bits ignored).
inline uint64_t to_register(float x) { return std::bit_cast<uint32_t>(x); }
inline uint64_t to_register(double x) { return std::bit_cast<uint64_t>(x); }
inline uint64_t to_register(F16 x) { return x.bits; }
inline uint64_t to_register(BF16 x) { return x.bits; }
inline uint64_t to_register(TF32 x) { return x.bits; }
inline uint64_t to_register(E4M3 x) { return x.bits; }
inline uint64_t to_register(E5M2 x) { return x.bits; }
inline uint64_t to_register(uint8_t x) { return x; }
inline uint64_t to_register(uint16_t x) { return x; }
inline uint64_t to_register(uint32_t x) { return x; }
inline uint64_t to_register(uint64_t x) { return x; }
inline uint64_t to_register(int8_t x) { return static_cast<uint8_t>(x); }
inline uint64_t to_register(int16_t x) { return static_cast<uint16_t>(x); }
inline uint64_t to_register(int32_t x) { return static_cast<uint32_t>(x); }
inline uint64_t to_register(int64_t x) { return static_cast<uint64_t>(x); }
template <typename T>
inline uint64_t to_register(Pair<T> x) {
  return to_register(x.low) | to_register(x.high) << (8 * sizeof(T));
}

namespace detail {
template <typename T>
struct Register {
  static T get(uint64_t bits) { return static_cast<T>(bits); }  // integers
};
template <>
struct Register<float> {
  static float get(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
};
template <>
struct Register<double> {
  static double get(uint64_t bits) { return std::bit_cast<double>(bits); }
};
template <>
struct Register<F16> {
  static F16 get(uint64_t bits) { return {static_cast<uint16_t>(bits)}; }
};
template <>
struct Register<BF16> {
  static BF16 get(uint64_t bits) { return {static_cast<uint16_t>(bits)}; }
};
template <>
struct Register<TF32> {
  static TF32 get(uint64_t bits) { return {static_cast<uint32_t>(bits)}; }
};
template <>
struct Register<E4M3> {
  static E4M3 get(uint64_t bits) { return {static_cast<uint8_t>(bits)}; }
};
template <>
struct Register<E5M2> {
  static E5M2 get(uint64_t bits) { return {static_cast<uint8_t>(bits)}; }
};
template <typename T>
struct Register<Pair<T>> {
  static Pair<T> get(uint64_t bits) {
    return {Register<T>::get(bits), Register<T>::get(bits >> (8 * sizeof(T)))};
  }
};
}  // namespace detail

template <typename T>
inline T from_register(uint64_t bits) {
  return detail::Register<T>::get(bits);
}

}  // namespace assay::virtual_gpu
