#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {
namespace {

__extension__ typedef __int128 Wide;

template <typename T>
uint64_t raw(T x) {
  return static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(x));
}

template <typename T>
void add_arithmetic(Table& table) {
  const std::string type = type_name<T>();
  constexpr int kBits = 8 * sizeof(T);
  const auto binary = [&](const std::string& op, auto expect) {
    table.add(op + "." + type, fmt::format("{}.{} %d, %a, %b;", op, type),
              [expect](T a, T b) { return static_cast<T>(expect(Wide{a}, Wide{b})); });
  };
  binary("add", [](Wide a, Wide b) { return a + b; });
  binary("sub", [](Wide a, Wide b) { return a - b; });
  binary("mul.lo", [](Wide a, Wide b) { return static_cast<T>(raw(T(a)) * raw(T(b))); });
  binary("mul.hi", [](Wide a, Wide b) {
    if constexpr (std::is_same_v<T, uint64_t>) {
      __extension__ typedef unsigned __int128 UnsignedWide;
      return static_cast<Wide>(static_cast<UnsignedWide>(a) * static_cast<UnsignedWide>(b) >> 64);
    } else {
      return a * b >> kBits;
    }
  });
  binary("min", [](Wide a, Wide b) { return std::min(a, b); });
  binary("max", [](Wide a, Wide b) { return std::max(a, b); });
  // Division by zero is left to the machine: zero divisors are replaced by one.
  table.add("div." + type,
            fmt::format("{{ .reg .pred p; setp.eq.{0} p, %b, 0; selp.b{1} %b, 1, %b, p; "
                        "div.{0} %d, %a, %b; }}",
                        type, kBits),
            [](T a, T b) { return static_cast<T>(Wide{a} / Wide{b == 0 ? T{1} : b}); });
  table.add("rem." + type,
            fmt::format("{{ .reg .pred p; setp.eq.{0} p, %b, 0; selp.b{1} %b, 1, %b, p; "
                        "rem.{0} %d, %a, %b; }}",
                        type, kBits),
            [](T a, T b) { return static_cast<T>(Wide{a} % Wide{b == 0 ? T{1} : b}); });
  table.add("mad.lo." + type, fmt::format("mad.lo.{} %d, %a, %b, %c;", type),
            [](T a, T b, T c) { return static_cast<T>(raw(a) * raw(b) + raw(c)); });
  table.add("sad." + type, fmt::format("sad.{} %d, %a, %b, %c;", type), [](T a, T b, T c) {
    return static_cast<T>(Wide{c} + std::max(Wide{a}, Wide{b}) - std::min(Wide{a}, Wide{b}));
  });
  table.add(
      "shl.b" + std::to_string(kBits) + " " + type, fmt::format("shl.b{} %d, %a, %b;", kBits),
      [](T a, Small b) { return b.value >= kBits ? T{0} : static_cast<T>(raw(a) << b.value); });
  table.add("shr." + type, fmt::format("shr.{} %d, %a, %b;", type), [](T a, Small b) {
    return static_cast<T>(Wide{a} >> std::min<uint32_t>(b.value, kBits));
  });
  for (const char* const comparison : {"eq", "ne", "lt", "le", "gt", "ge"}) {
    const std::string op = comparison;
    table.add(
        "setp." + op + "." + type,
        fmt::format("{{ .reg .pred p; setp.{}.{} p, %a, %b; selp.u32 %d, 1, 0, p; }}", op, type),
        [op](T a, T b) {
          return op == "eq"   ? a == b
                 : op == "ne" ? a != b
                 : op == "lt" ? a < b
                 : op == "le" ? a <= b
                 : op == "gt" ? a > b
                              : a >= b;
        });
  }
  if constexpr (std::is_signed_v<T>) {
    table.add("neg." + type, fmt::format("neg.{} %d, %a;", type),
              [](T a) { return static_cast<T>(-Wide{a}); });
    table.add("abs." + type, fmt::format("abs.{} %d, %a;", type),
              [](T a) { return static_cast<T>(a < 0 ? -Wide{a} : Wide{a}); });
  }
}

template <typename T, typename Double>
void add_wide(Table& table) {
  const std::string type = type_name<T>();
  table.add("mul.wide." + type, fmt::format("mul.wide.{} %d, %a, %b;", type),
            [](T a, T b) { return static_cast<Double>(Double{a} * Double{b}); });
  table.add("mad.wide." + type, fmt::format("mad.wide.{} %d, %a, %b, %c;", type),
            [](T a, T b, Double c) { return static_cast<Double>(Wide{a} * Wide{b} + c); });
}

template <typename T>
void add_bits(Table& table) {
  using Signed = std::make_signed_t<T>;
  constexpr uint32_t kBits = 8 * sizeof(T);
  // The 32-bit forms look at eight bits of position and length.
  constexpr uint32_t kFieldMask = kBits == 32 ? 0xff : 0xffffffffu;
  const std::string b = "b" + std::to_string(kBits);
  table.add("and." + b, "and." + b + " %d, %a, %b;", [](T x, T y) { return T(x & y); });
  table.add("or." + b, "or." + b + " %d, %a, %b;", [](T x, T y) { return T(x | y); });
  table.add("xor." + b, "xor." + b + " %d, %a, %b;", [](T x, T y) { return T(x ^ y); });
  table.add("not." + b, "not." + b + " %d, %a;", [](T x) { return T(~x); });
  table.add("cnot." + b, "cnot." + b + " %d, %a;", [](T x) { return T(x == 0); });
  table.add("popc." + b, "popc." + b + " %d, %a;", [](T x) {
    uint32_t count = 0;
    for (; x != 0; x = T(x & (x - 1))) ++count;
    return count;
  });
  table.add("clz." + b, "clz." + b + " %d, %a;", [](T x) {
    uint32_t count = 0;
    while (count < kBits && (x >> (kBits - 1 - count) & 1) == 0) ++count;
    return count;
  });
  table.add("brev." + b, "brev." + b + " %d, %a;", [](T x) {
    T result = 0;
    for (uint32_t i = 0; i < kBits; ++i) result |= (x >> i & 1) << (kBits - 1 - i);
    return result;
  });
  const auto find = [](auto x, bool amount) {
    if (x < 0) x = static_cast<decltype(x)>(~x);
    for (int i = kBits - 1; i >= 0; --i) {
      if ((static_cast<T>(x) >> i & 1) != 0) {
        return amount ? kBits - 1 - static_cast<uint32_t>(i) : static_cast<uint32_t>(i);
      }
    }
    return 0xffffffffu;
  };
  const std::string u = "u" + std::to_string(kBits), s = "s" + std::to_string(kBits);
  table.add("bfind." + u, "bfind." + u + " %d, %a;", [find](T x) { return find(x, false); });
  table.add("bfind." + s, "bfind." + s + " %d, %a;", [find](Signed x) { return find(x, false); });
  table.add("bfind.shiftamt." + u, "bfind.shiftamt." + u + " %d, %a;",
            [find](T x) { return find(x, true); });
  table.add("bfind.shiftamt." + s, "bfind.shiftamt." + s + " %d, %a;",
            [find](Signed x) { return find(x, true); });
  const auto extract = [](auto x, Small position, Small length) {
    const uint64_t pos = kFieldMask & position.value, len = kFieldMask & length.value;
    const auto bit = [&](uint64_t i) { return static_cast<T>(x) >> i & 1; };
    const bool fill = std::is_signed_v<decltype(x)> && len > 0 &&
                      bit(std::min<uint64_t>(pos + len - 1, kBits - 1));
    T result = 0;
    for (uint32_t i = 0; i < kBits; ++i) {
      result |= (i < len && pos + i < kBits ? bit(pos + i) : T{fill}) << i;
    }
    return static_cast<decltype(x)>(result);
  };
  table.add("bfe." + u, "bfe." + u + " %d, %a, %b, %c;",
            [extract](T x, Small p, Small n) { return extract(x, p, n); });
  table.add("bfe." + s, "bfe." + s + " %d, %a, %b, %c;",
            [extract](Signed x, Small p, Small n) { return extract(x, p, n); });
  table.add("bfi." + b, "bfi." + b + " %d, %a, %b, %c, %e;",
            [](T field, T base, Small position, Small length) {
              const uint64_t pos = kFieldMask & position.value, len = kFieldMask & length.value;
              for (uint64_t i = 0; i < len && pos + i < kBits; ++i) {
                base = T(base & ~(T{1} << (pos + i)));
                base = T(base | (field >> i & 1) << (pos + i));
              }
              return base;
            });
}

void add_permutations(Table& table) {
  const auto byte = [](uint32_t a, uint32_t b, uint32_t i) {
    return (i < 4 ? a >> (8 * i) : b >> (8 * (i - 4))) & 0xff;
  };
  table.add("prmt.b32", "prmt.b32 %d, %a, %b, %c;", [byte](uint32_t a, uint32_t b, uint32_t c) {
    uint32_t result = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t n = c >> (4 * i) & 15;
      const uint32_t x = byte(a, b, n & 7);
      result |= (n < 8 ? x : (x >> 7) * 255) << (8 * i);
    }
    return result;
  });
  const auto mode = [&](const char* name, auto index) {  // index(result byte, control)
    table.add(fmt::format("prmt.b32.{}", name), fmt::format("prmt.b32.{} %d, %a, %b, %c;", name),
              [byte, index](uint32_t a, uint32_t b, uint32_t c) {
                uint32_t result = 0;
                for (uint32_t i = 0; i < 4; ++i) result |= byte(a, b, index(i, c & 3)) << (8 * i);
                return result;
              });
  };
  mode("f4e", [](uint32_t i, uint32_t c) { return c + i; });
  mode("b4e", [](uint32_t i, uint32_t c) { return (c + 8 - i) & 7; });
  mode("rc8", [](uint32_t, uint32_t c) { return c; });
  mode("ecl", [](uint32_t i, uint32_t c) { return std::max(i, c); });
  mode("ecr", [](uint32_t i, uint32_t c) { return std::min(i, c); });
  mode("rc16", [](uint32_t i, uint32_t c) { return (c & 1) * 2 + (i & 1); });
  for (const int table_bits : {0x00, 0x01, 0x1e, 0x6a, 0x80, 0x96, 0xca, 0xe8, 0xf8, 0xff}) {
    table.add(fmt::format("lop3.b32 {:#x}", table_bits),
              fmt::format("lop3.b32 %d, %a, %b, %c, {:#x};", table_bits),
              [table_bits](uint32_t a, uint32_t b, uint32_t c) {
                uint32_t result = 0;
                for (int i = 0; i < 32; ++i) {
                  const uint32_t row = (a >> i & 1) * 4 + (b >> i & 1) * 2 + (c >> i & 1);
                  result |= (static_cast<uint32_t>(table_bits) >> row & 1) << i;
                }
                return result;
              });
  }
  for (const bool wrap : {false, true}) {
    const std::string suffix = wrap ? "wrap" : "clamp";
    const auto amount = [wrap](Small s) { return wrap ? s.value % 32 : std::min(s.value, 32u); };
    table.add("shf.l." + suffix, fmt::format("shf.l.{}.b32 %d, %a, %b, %c;", suffix),
              [amount](uint32_t lo, uint32_t hi, Small s) {
                return static_cast<uint32_t>(((Wide{hi} << 32) + lo) << amount(s) >> 32);
              });
    table.add("shf.r." + suffix, fmt::format("shf.r.{}.b32 %d, %a, %b, %c;", suffix),
              [amount](uint32_t lo, uint32_t hi, Small s) {
                return static_cast<uint32_t>(((Wide{hi} << 32) + lo) >> amount(s));
              });
    table.add("bmsk." + suffix, fmt::format("bmsk.{}.b32 %d, %a, %b;", suffix),
              [wrap](Small position, Small length) {
                uint32_t result = 0;
                const uint64_t first = wrap ? position.value % 32 : position.value;
                const uint64_t count = wrap ? length.value % 32 : length.value;
                for (uint64_t i = 0; i < 32; ++i) {
                  result |= (i >= first && i < first + count ? 1u : 0u) << i;
                }
                return result;
              });
    table.add("szext." + suffix + ".s32", fmt::format("szext.{}.s32 %d, %a, %b;", suffix),
              [wrap](int32_t a, Small n) {
                const uint32_t count = wrap ? n.value % 32 : n.value;
                if (count == 0) return 0;
                return count >= 32 ? a
                                   : static_cast<int32_t>(raw(a) << (32 - count)) >> (32 - count);
              });
    table.add("szext." + suffix + ".u32", fmt::format("szext.{}.u32 %d, %a, %b;", suffix),
              [wrap](uint32_t a, Small n) {
                const uint32_t count = wrap ? n.value % 32 : n.value;
                return count >= 32 ? a : a & ((1u << count) - 1);
              });
  }
  table.add("fns.b32",
            "{ .reg .b32 base; and.b32 base, %b, 31; max.s32 %c, %c, -100; "
            "fns.b32 %d, %a, base, %c; }",
            [](uint32_t mask, uint32_t b, int32_t offset) {
              int position = static_cast<int>(b & 31);
              const auto is_set = [&] { return (mask >> position & 1) != 0; };
              if (offset == 0) return is_set() ? static_cast<uint32_t>(position) : 0xffffffffu;
              int64_t left = std::abs(int64_t{offset}) - 1;
              for (; position >= 0 && position<32; position += offset> 0 ? 1 : -1) {
                if (is_set() && left-- == 0) return static_cast<uint32_t>(position);
              }
              return 0xffffffffu;
            });
}

void add_products(Table& table) {
  const auto low24 = [](auto x) {
    if constexpr (std::is_signed_v<decltype(x)>) {
      return Wide{(x & 0xffffff) - ((x & 0x800000) != 0 ? 0x1000000 : 0)};
    } else {
      return Wide{x & 0xffffff};
    }
  };
  const auto both = [&](auto zero) {
    using T = decltype(zero);
    const std::string type = type_name<T>();
    table.add("mul24.lo." + type, "mul24.lo." + type + " %d, %a, %b;",
              [low24](T a, T b) { return static_cast<T>(low24(a) * low24(b)); });
    table.add("mul24.hi." + type, "mul24.hi." + type + " %d, %a, %b;",
              [low24](T a, T b) { return static_cast<T>(low24(a) * low24(b) >> 16); });
    table.add("mad24.lo." + type, "mad24.lo." + type + " %d, %a, %b, %c;",
              [low24](T a, T b, T c) { return static_cast<T>(low24(a) * low24(b) + c); });
    table.add("mad.hi." + type, "mad.hi." + type + " %d, %a, %b, %c;",
              [](T a, T b, T c) { return static_cast<T>((Wide{a} * b >> 32) + c); });
  };
  both(uint32_t{0});
  both(int32_t{0});
  const auto saturated32 = [](Wide x) {
    return static_cast<int32_t>(std::clamp<Wide>(x, std::numeric_limits<int32_t>::min(),
                                                 std::numeric_limits<int32_t>::max()));
  };
  table.add("add.sat.s32", "add.sat.s32 %d, %a, %b;",
            [=](int32_t a, int32_t b) { return saturated32(Wide{a} + b); });
  table.add("sub.sat.s32", "sub.sat.s32 %d, %a, %b;",
            [=](int32_t a, int32_t b) { return saturated32(Wide{a} - b); });
  table.add("mad.hi.sat.s32", "mad.hi.sat.s32 %d, %a, %b, %c;",
            [=](int32_t a, int32_t b, int32_t c) { return saturated32((Wide{a} * b >> 32) + c); });
  const auto part = [](uint32_t x, int i, int bits, bool is_signed) {
    const Wide value = x >> (bits * i) & ((1u << bits) - 1);
    return is_signed && (value >> (bits - 1)) != 0 ? value - (Wide{1} << bits) : value;
  };
  for (const bool a_signed : {false, true}) {
    for (const bool b_signed : {false, true}) {
      const std::string types =
          fmt::format("{}32.{}32", a_signed ? 's' : 'u', b_signed ? 's' : 'u');
      table.add("dp4a." + types, "dp4a." + types + " %d, %a, %b, %c;",
                [=](uint32_t a, uint32_t b, uint32_t c) {
                  Wide sum = c;
                  for (int i = 0; i < 4; ++i)
                    sum += part(a, i, 8, a_signed) * part(b, i, 8, b_signed);
                  return static_cast<uint32_t>(sum);
                });
      for (const int high : {0, 1}) {
        const std::string op = fmt::format("dp2a.{}.{}", high != 0 ? "hi" : "lo", types);
        table.add(op, op + " %d, %a, %b, %c;", [=](uint32_t a, uint32_t b, uint32_t c) {
          Wide sum = c;
          for (int i = 0; i < 2; ++i) {
            sum += part(a, i, 16, a_signed) * part(b, i + 2 * high, 8, b_signed);
          }
          return static_cast<uint32_t>(sum);
        });
      }
    }
  }
}

void add_carries(Table& table) {
  table.add("add.cc addc.cc addc.u32",
            "{ .reg .u32 x, y; add.cc.u32 x, %a, %b; addc.cc.u32 y, %a, %c; addc.u32 %d, x, y; }",
            [](uint32_t a, uint32_t b, uint32_t c) {
              const uint64_t x = uint64_t{a} + b, y = uint64_t{a} + c + (x >> 32);
              return static_cast<uint32_t>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y) +
                                           (y >> 32));
            });
  table.add("sub.cc subc.cc subc.u32",
            "{ .reg .u32 x, y; sub.cc.u32 x, %a, %b; subc.cc.u32 y, %a, %c; subc.u32 %d, x, y; }",
            [](uint32_t a, uint32_t b, uint32_t c) {
              const uint64_t x = uint64_t{a} - b, y = uint64_t{a} - c - (x >> 63);
              return static_cast<uint32_t>(static_cast<uint32_t>(x) - static_cast<uint32_t>(y) -
                                           (y >> 63));
            });
  table.add(
      "mad.lo.cc madc.hi.u32",
      "{ .reg .u32 x; mad.lo.cc.u32 x, %a, %b, %c; madc.hi.u32 %d, %a, %b, x; }",
      [](uint32_t a, uint32_t b, uint32_t c) {
        const uint64_t product = uint64_t{a} * b;
        const uint64_t low = (product & 0xffffffffu) + c;
        return static_cast<uint32_t>((product >> 32) + static_cast<uint32_t>(low) + (low >> 32));
      });
  table.add("add.cc addc.u64", "{ .reg .u64 x; add.cc.u64 x, %a, %b; addc.u64 %d, %a, x; }",
            [](uint64_t a, uint64_t b) {
              const uint64_t x = a + b;
              return a + x + (x < a ? 1 : 0);
            });
}

void add_halves(Table& table) {
  const auto each = [](uint32_t a, uint32_t b, auto operation) {
    const uint32_t low = static_cast<uint16_t>(operation(a & 0xffff, b & 0xffff));
    const uint32_t high = static_cast<uint16_t>(operation(a >> 16, b >> 16));
    return high << 16 | low;
  };
  const auto as_signed = [](uint32_t x) { return int{static_cast<int16_t>(x)}; };
  table.add("add.u16x2", "add.u16x2 %d, %a, %b;", [=](uint32_t a, uint32_t b) {
    return each(a, b, [](uint32_t x, uint32_t y) { return x + y; });
  });
  table.add("min.u16x2", "min.u16x2 %d, %a, %b;", [=](uint32_t a, uint32_t b) {
    return each(a, b, [](uint32_t x, uint32_t y) { return std::min(x, y); });
  });
  table.add("max.s16x2", "max.s16x2 %d, %a, %b;", [=](uint32_t a, uint32_t b) {
    return each(a, b, [=](uint32_t x, uint32_t y) { return std::max(as_signed(x), as_signed(y)); });
  });
  table.add("min.relu.s16x2", "min.s16x2.relu %d, %a, %b;", [=](uint32_t a, uint32_t b) {
    return each(a, b, [=](uint32_t x, uint32_t y) {
      return std::max(0, std::min(as_signed(x), as_signed(y)));
    });
  });
  table.add("max.relu.s32", "max.s32.relu %d, %a, %b;",
            [](int32_t a, int32_t b) { return std::max(0, std::max(a, b)); });
}

}  // namespace

void add_integer_programs(Table& table) {
  add_arithmetic<uint16_t>(table);
  add_arithmetic<int16_t>(table);
  add_arithmetic<uint32_t>(table);
  add_arithmetic<int32_t>(table);
  add_arithmetic<uint64_t>(table);
  add_arithmetic<int64_t>(table);
  add_wide<uint16_t, uint32_t>(table);
  add_wide<int16_t, int32_t>(table);
  add_wide<uint32_t, uint64_t>(table);
  add_wide<int32_t, int64_t>(table);
  add_bits<uint32_t>(table);
  add_bits<uint64_t>(table);
  add_permutations(table);
  add_products(table);
  add_carries(table);
  add_halves(table);
}

}  // namespace assay::virtual_programs
