// Small PTX programs, one for each instruction, type and modifier, with inputs and the outputs that
// plain C++ expects: a conformance suite for any device that runs PTX.
//
// Theory of operation. A row of the table gives a name, the PTX text of one instruction (or a few)
// and a C++ function of the operands. The function's parameter types say how operands are
// generated, loaded and passed; its result type how the result is stored. Every lane of a program
// runs the instruction on operands of its own, drawn from a list of values that make trouble and
// from random bits. Warp programs see all 32 lanes at once and may have several results.
//
// In the text, %a %b %c %e are the operands, %d the result (%a0 %a1 ... in warp programs). All
// programs make one PTX module; a program's kernel is called program_<index> and takes the
// addresses of inputs and outputs, an 8-byte slot for each operand and result of each lane.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "evaluator/device/virtual/arithmetic_formats.h"

namespace assay::virtual_programs {

using virtual_gpu::BF16;
using virtual_gpu::F16;
using virtual_gpu::Pair;

/// How a result may differ from the expected one.
struct Check {
  enum class Kind : uint8_t {
    exact,    // the same bits
    any_nan,  // the same bits, or both NaN of the result's type
    ulps,     // within `bound` units in the last place, or `absolute`; NaN matches NaN
  };
  Kind kind = Kind::exact;
  double bound = 0;
  double absolute = 0;
};

/// The type of a slot, for check and print.
enum class Slot : uint8_t { bits, f16, bf16, f32, f64 };

struct Program {
  std::string name;
  std::string text;  // PTX body
  int operands = 0;
  int results = 1;
  std::vector<int> operand_bits;  // 16, 32 or 64
  int result_bits = 32;
  Slot result_slot = Slot::bits;
  Check check;
  uint32_t lanes = 0;              // a multiple of 32
  std::vector<uint64_t> inputs;    // [lane][operand]
  std::vector<uint64_t> expected;  // [lane][result]

  std::string kernel(size_t index) const { return "program_" + std::to_string(index); }
};

/// One PTX module with a kernel for each program.
std::string module_text(std::span<const Program> programs);

/// The first few lanes whose outputs are wrong, in words; empty: all right.
std::string mismatches(const Program& program, std::span<const uint64_t> outputs);

/// All programs, in a fixed order, the same on every machine.
std::vector<Program> all_programs();

// Building rows.

/// Draws operands of the types that rows use.
class Draw {
 public:
  explicit Draw(const std::string& seed);
  uint64_t bits(int width);                                 // interesting or random integer
  uint64_t floating(int exponent_bits, int mantissa_bits);  // interesting or random number
  uint64_t below(uint64_t bound) { return random_() % bound; }

 private:
  std::mt19937_64 random_;
};

/// A 32-bit operand that is mostly a small number: shift amounts, positions, lengths.
struct Small {
  uint32_t value;
};

template <typename T>
struct Operand;  // bits, draw(), decode()
template <typename T>
struct Outcome;  // bits, slot, encode()

uint32_t canonical(float x);  // bits; NaN as 0x7fffffff

#define ASSAY_INTEGER_OPERAND(type, width)                                  \
  template <>                                                               \
  struct Operand<type> {                                                    \
    static constexpr int bits = width < 16 ? 16 : width;                    \
    static uint64_t draw(Draw& draw) { return draw.bits(width); }           \
    static type decode(uint64_t value) { return static_cast<type>(value); } \
  };                                                                        \
  template <>                                                               \
  struct Outcome<type> {                                                    \
    static constexpr int bits = width < 16 ? 16 : width;                    \
    static constexpr Slot slot = Slot::bits;                                \
    static uint64_t encode(type value) {                                    \
      const auto wide = static_cast<uint64_t>(static_cast<int64_t>(value)); \
      return width < 16 ? wide & 0xffff : virtual_gpu::to_register(value);  \
    }                                                                       \
  };
ASSAY_INTEGER_OPERAND(int8_t, 8)
ASSAY_INTEGER_OPERAND(uint8_t, 8)
ASSAY_INTEGER_OPERAND(int16_t, 16)
ASSAY_INTEGER_OPERAND(uint16_t, 16)
ASSAY_INTEGER_OPERAND(int32_t, 32)
ASSAY_INTEGER_OPERAND(uint32_t, 32)
ASSAY_INTEGER_OPERAND(int64_t, 64)
ASSAY_INTEGER_OPERAND(uint64_t, 64)
#undef ASSAY_INTEGER_OPERAND

template <>
struct Operand<Small> {
  static constexpr int bits = 32;
  static uint64_t draw(Draw& draw) { return draw.below(8) == 0 ? draw.bits(32) : draw.below(72); }
  static Small decode(uint64_t value) { return {static_cast<uint32_t>(value)}; }
};
template <>
struct Operand<float> {
  static constexpr int bits = 32;
  static uint64_t draw(Draw& draw) { return draw.floating(8, 23); }
  static float decode(uint64_t value) { return virtual_gpu::from_register<float>(value); }
};
template <>
struct Operand<double> {
  static constexpr int bits = 64;
  static uint64_t draw(Draw& draw) { return draw.floating(11, 52); }
  static double decode(uint64_t value) { return virtual_gpu::from_register<double>(value); }
};
template <>
struct Operand<F16> {
  static constexpr int bits = 16;
  static uint64_t draw(Draw& draw) { return draw.floating(5, 10); }
  static F16 decode(uint64_t value) { return virtual_gpu::from_register<F16>(value); }
};
template <>
struct Operand<BF16> {
  static constexpr int bits = 16;
  static uint64_t draw(Draw& draw) { return draw.floating(8, 7); }
  static BF16 decode(uint64_t value) { return virtual_gpu::from_register<BF16>(value); }
};
template <typename T>
struct Operand<Pair<T>> {
  static constexpr int bits = 32;
  static uint64_t draw(Draw& draw) {
    const uint64_t high = Operand<T>::draw(draw);
    return high << 16 | Operand<T>::draw(draw);
  }
  static Pair<T> decode(uint64_t value) { return virtual_gpu::from_register<Pair<T>>(value); }
};

template <>
struct Outcome<bool> {
  static constexpr int bits = 32;
  static constexpr Slot slot = Slot::bits;
  static uint64_t encode(bool value) { return value ? 1 : 0; }
};
template <>
struct Outcome<float> {
  static constexpr int bits = 32;
  static constexpr Slot slot = Slot::f32;
  static uint64_t encode(float value) { return canonical(value); }
};
template <>
struct Outcome<double> {
  static constexpr int bits = 64;
  static constexpr Slot slot = Slot::f64;
  static uint64_t encode(double value) { return virtual_gpu::to_register(value); }
};
template <>
struct Outcome<F16> {
  static constexpr int bits = 16;
  static constexpr Slot slot = Slot::f16;
  static uint64_t encode(F16 value) { return value.bits; }
};
template <>
struct Outcome<BF16> {
  static constexpr int bits = 16;
  static constexpr Slot slot = Slot::bf16;
  static uint64_t encode(BF16 value) { return value.bits; }
};
template <typename T>
struct Outcome<Pair<T>> {
  static constexpr int bits = 32;
  static constexpr Slot slot = Slot::bits;
  static uint64_t encode(Pair<T> value) {
    return Outcome<T>::encode(value.low) | Outcome<T>::encode(value.high) << 16;
  }
};

/// The table under construction.
class Table {
 public:
  explicit Table(std::vector<Program>& programs) : programs_(programs) {}

  /// A program whose lanes are independent. `expect` is a lambda of operands.
  template <typename Expect>
  void add(std::string name, std::string text, Expect expect, Check check = {}) {
    add_typed(std::move(name), std::move(text), std::function(expect), check);
  }

  /// A program of whole warps: `draw` makes one operand slot, `expect` the results of 32 lanes.
  struct Warp {
    std::vector<int> operand_bits;
    int results = 1;
    int result_bits = 32;
    Slot result_slot = Slot::bits;
    std::function<uint64_t(Draw&, int operand)> draw;
    std::function<void(const std::vector<std::vector<uint64_t>>& operands,  // [operand][lane]
                       std::vector<std::vector<uint64_t>>& results)>
        expect;  // [result][lane]
    Check check;
    uint32_t warps = 4;
  };
  void add_warp(std::string name, std::string text, const Warp& warp);

 private:
  template <typename Result, typename... Operands>
  void add_typed(std::string name, std::string text,
                 const std::function<Result(Operands...)>& expect, Check check) {
    Program program;
    program.name = std::move(name);
    program.text = std::move(text);
    program.operands = sizeof...(Operands);
    program.operand_bits = {Operand<std::remove_cvref_t<Operands>>::bits...};
    program.result_bits = Outcome<Result>::bits;
    program.result_slot = Outcome<Result>::slot;
    program.check = check;
    program.lanes = kLanes;
    Draw draw(program.name);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const std::array<uint64_t, sizeof...(Operands)> drawn{
          Operand<std::remove_cvref_t<Operands>>::draw(draw)...};
      program.inputs.insert(program.inputs.end(), drawn.begin(), drawn.end());
      const Result result = [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
        return expect(Operand<std::remove_cvref_t<Operands>>::decode(drawn[kIndex])...);
      }
      (std::index_sequence_for<Operands...>{});
      program.expected.push_back(Outcome<Result>::encode(result));
    }
    programs_.push_back(std::move(program));
  }

  static constexpr uint32_t kLanes = 512;
  std::vector<Program>& programs_;
};

// One function for each family, each in a file of its own.
void add_float_programs(Table& table);
void add_half_programs(Table& table);
void add_convert_programs(Table& table);
void add_integer_programs(Table& table);
void add_approximate_programs(Table& table);
void add_matrix_programs(Table& table);
void add_memory_programs(Table& table);

}  // namespace assay::virtual_programs
