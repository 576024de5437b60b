#include <fmt/format.h>

#include <cmath>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {
namespace {

using virtual_gpu::oracle::fused_code;
using virtual_gpu::oracle::Table;

template <typename T>
struct Half;
template <>
struct Half<F16> {
  static const Table& table() { return virtual_gpu::oracle::f16(); }
  static constexpr uint16_t one = 0x3c00;
  static constexpr uint16_t exponent = 0x7c00;
};
template <>
struct Half<BF16> {
  static const Table& table() { return virtual_gpu::oracle::bf16(); }
  static constexpr uint16_t one = 0x3f80;
  static constexpr uint16_t exponent = 0x7f80;
};

template <typename T>
bool is_nan(T x) {
  return (x.bits & 0x7fff) > Half<T>::exponent;
}
template <typename T>
T negated(T x) {
  return {static_cast<uint16_t>(x.bits ^ 0x8000)};
}
template <typename T>
T flushed(T x) {
  return (x.bits & Half<T>::exponent) == 0 ? T{static_cast<uint16_t>(x.bits & 0x8000)} : x;
}
template <typename T>
T fused(T a, T b, T c) {
  return {static_cast<uint16_t>(fused_code(Half<T>::table(), a, b, c))};
}
template <typename T>
T sum(T a, T b) {
  return fused(a, T{Half<T>::one}, b);
}
template <typename T>
T difference(T a, T b) {
  return sum(a, is_nan(b) ? b : negated(b));
}
template <typename T>
T product(T a, T b) {
  return fused(a, b, T{static_cast<uint16_t>((a.bits ^ b.bits) & 0x8000)});
}
template <typename T>
T saturated_half(T x) {
  if (is_nan(x) || (x.bits & 0x8000) != 0) return {};
  return x.bits > Half<T>::one ? T{Half<T>::one} : x;
}
template <typename T>
T positive(T x) {
  return !is_nan(x) && (x.bits & 0x8000) != 0 ? T{} : x;
}
/// Sign and magnitude as an integer in the order of values; -0 below +0.
template <typename T>
int order(T x) {
  return (x.bits & 0x8000) != 0 ? -1 - (x.bits & 0x7fff) : x.bits;
}
template <typename T>
T extreme(bool maximum, bool nan, T a, T b) {
  const T not_a_number{0x7fff};
  if (nan && (is_nan(a) || is_nan(b))) return not_a_number;
  if (is_nan(a)) return is_nan(b) ? not_a_number : b;
  if (is_nan(b)) return a;
  return (order(a) < order(b)) == maximum ? b : a;
}

/// The program for one value and for a pair.
template <typename T, typename Expect>
void add_both(virtual_programs::Table& table, const std::string& op, int operands, Expect expect,
              Check check = {}) {
  const char* const lists[] = {"", "%d, %a", "%d, %a, %b", "%d, %a, %b, %c"};
  const std::string one = op + "." + type_name<T>();
  const std::string two = op + "." + type_name<Pair<T>>();
  const std::string list = lists[operands];
  if constexpr (std::is_invocable_v<Expect, T>) {
    table.add(
        one, one + " " + list + ";", [expect](T a) { return expect(a); }, check);
    table.add(
        two, two + " " + list + ";",
        [expect](Pair<T> a) {
          return Pair<T>{expect(a.low), expect(a.high)};
        },
        check);
  } else if constexpr (std::is_invocable_v<Expect, T, T>) {
    table.add(
        one, one + " " + list + ";", [expect](T a, T b) { return expect(a, b); }, check);
    table.add(
        two, two + " " + list + ";",
        [expect](Pair<T> a, Pair<T> b) {
          return Pair<T>{expect(a.low, b.low), expect(a.high, b.high)};
        },
        check);
  } else {
    table.add(
        one, one + " " + list + ";", [expect](T a, T b, T c) { return expect(a, b, c); }, check);
    table.add(
        two, two + " " + list + ";",
        [expect](Pair<T> a, Pair<T> b, Pair<T> c) {
          return Pair<T>{expect(a.low, b.low, c.low), expect(a.high, b.high, c.high)};
        },
        check);
  }
}

template <typename T>
void add_common(virtual_programs::Table& table) {
  add_both<T>(table, "add.rn", 2, [](T a, T b) { return sum(a, b); });
  add_both<T>(table, "sub.rn", 2, [](T a, T b) { return difference(a, b); });
  add_both<T>(table, "mul.rn", 2, [](T a, T b) { return product(a, b); });
  add_both<T>(table, "fma.rn", 3, [](T a, T b, T c) { return fused(a, b, c); });
  add_both<T>(table, "fma.rn.relu", 3, [](T a, T b, T c) { return positive(fused(a, b, c)); });
  for (const bool maximum : {false, true}) {
    const std::string op = maximum ? "max" : "min";
    add_both<T>(table, op, 2, [=](T a, T b) { return extreme(maximum, false, a, b); });
    add_both<T>(table, op + ".NaN", 2, [=](T a, T b) { return extreme(maximum, true, a, b); });
    add_both<T>(table, op + ".xorsign.abs", 2, [=](T a, T b) {
      const auto magnitude = [](T x) { return T{static_cast<uint16_t>(x.bits & 0x7fff)}; };
      const T result = extreme(maximum, false, magnitude(a), magnitude(b));
      const int sign = (a.bits ^ b.bits) & 0x8000;
      return is_nan(result) ? result : T{static_cast<uint16_t>(result.bits | sign)};
    });
  }
}

template <typename T>
void add_comparisons(virtual_programs::Table& table) {
  struct Row {
    const char* name;
    bool less, equal, greater, unordered;
  };
  const Row rows[] = {{"eq", false, true, false, false}, {"ne", true, false, true, false},
                      {"lt", true, false, false, false}, {"geu", false, true, true, true},
                      {"gtu", false, false, true, true}, {"nan", false, false, false, true}};
  for (const Row& row : rows) {
    const auto expect = [row](T a, T b) {
      if (is_nan(a) || is_nan(b)) return row.unordered;
      const float x = virtual_gpu::to_f32(a), y = virtual_gpu::to_f32(b);
      return x < y ? row.less : x > y ? row.greater : row.equal;
    };
    const std::string one = type_name<T>(), two = type_name<Pair<T>>();
    table.add(fmt::format("setp.{}.{}", row.name, one),
              fmt::format("{{ .reg .pred p; setp.{}.{} p, %a, %b; selp.u32 %d, 1, 0, p; }}",
                          row.name, one),
              expect);
    table.add(fmt::format("setp.{}.{}", row.name, two),
              fmt::format("{{ .reg .pred p, q; setp.{}.{} p|q, %a, %b; selp.u32 %d, 1, 0, p; "
                          "@q add.u32 %d, %d, 2; }}",
                          row.name, two),
              [expect](Pair<T> a, Pair<T> b) {
                return (expect(a.low, b.low) ? 1u : 0u) + (expect(a.high, b.high) ? 2u : 0u);
              });
    table.add(
        fmt::format("set.{}.{}.{}", row.name, two, two),
        fmt::format("set.{}.{}.{} %d, %a, %b;", row.name, two, two),
        [expect](Pair<T> a, Pair<T> b) {
          const auto one_or_zero = [](bool is) { return T{is ? Half<T>::one : uint16_t{0}}; };
          return Pair<T>{one_or_zero(expect(a.low, b.low)), one_or_zero(expect(a.high, b.high))};
        });
  }
}

}  // namespace

void add_half_programs(virtual_programs::Table& table) {
  add_common<F16>(table);
  add_common<BF16>(table);
  add_comparisons<F16>(table);
  add_comparisons<BF16>(table);
  add_both<F16>(table, "add.rn.sat", 2, [](F16 a, F16 b) { return saturated_half(sum(a, b)); });
  add_both<F16>(table, "mul.rn.sat", 2, [](F16 a, F16 b) { return saturated_half(product(a, b)); });
  add_both<F16>(table, "fma.rn.sat", 3,
                [](F16 a, F16 b, F16 c) { return saturated_half(fused(a, b, c)); });
  add_both<F16>(table, "add.rn.ftz", 2,
                [](F16 a, F16 b) { return flushed(sum(flushed(a), flushed(b))); });
  add_both<F16>(table, "fma.rn.ftz", 3, [](F16 a, F16 b, F16 c) {
    return flushed(fused(flushed(a), flushed(b), flushed(c)));
  });
  add_both<F16>(table, "min.ftz", 2,
                [](F16 a, F16 b) { return extreme(false, false, flushed(a), flushed(b)); });
  // The bits of a NaN are unspecified: rows for numbers only.
  const auto number = [](auto x) { return is_nan(x) ? decltype(x){} : x; };
  table.add("neg.f16",
            "{ .reg .pred p; setp.nan.f16 p, %a, %a; selp.b16 %a, 0, %a, p; "
            "neg.f16 %d, %a; }",
            [number](F16 a) { return negated(number(a)); });
  table.add("neg.bf16",
            "{ .reg .pred p; setp.nan.bf16 p, %a, %a; selp.b16 %a, 0, %a, p; "
            "neg.bf16 %d, %a; }",
            [number](BF16 a) { return negated(number(a)); });
  table.add("abs.f16",
            "{ .reg .pred p; setp.nan.f16 p, %a, %a; selp.b16 %a, 0, %a, p; "
            "abs.f16 %d, %a; }",
            [number](F16 a) { return F16{static_cast<uint16_t>(number(a).bits & 0x7fff)}; });
}

}  // namespace assay::virtual_programs
