#include <fmt/format.h>

#include "tests/virtual_programs/program.h"

namespace assay::virtual_programs {
namespace {

using Lanes = std::vector<std::vector<uint64_t>>;  // [operand or result][lane]

/// What a vector access moves: `count` elements of `bits` a lane.
struct Vector {
  int bits;
  int count;
  size_t bytes() const { return static_cast<size_t>(bits / 8 * count); }
  std::string suffix() const {
    return count == 1 ? fmt::format(".b{}", bits) : fmt::format(".v{}.b{}", count, bits);
  }
  std::string list(const char* prefix) const {
    std::string text;
    for (int i = 0; i < count; ++i) text += fmt::format("{}{}{}", i == 0 ? "" : ", ", prefix, i);
    return count == 1 ? text : "{" + text + "}";
  }
};
constexpr Vector kVectors[] = {{8, 1},  {8, 2},  {8, 4},  {16, 1}, {16, 2}, {16, 4},
                               {32, 1}, {32, 2}, {32, 4}, {64, 1}, {64, 2}};

/// Two 64-bit operands a lane are 512 bytes, 16 of each lane.
uint64_t element(const Lanes& in, size_t at_byte, int bits) {
  const uint64_t word = in[at_byte % 16 / 8][at_byte / 16];
  const uint64_t moved = word >> (8 * (at_byte % 8));
  return bits == 64 ? moved : moved & ((uint64_t{1} << bits) - 1);
}

/// Lane i reads the vector number which(i) of the 512 bytes; an unread result keeps 7.
template <typename Which>
Table::Warp warp_of(const Vector& vector, bool odd_lanes_only, Which which) {
  Table::Warp warp;
  warp.operand_bits = {64, 64};
  warp.results = vector.count;
  warp.result_bits = std::max(16, vector.bits);
  warp.draw = [](Draw& draw, int) { return draw.bits(64); };
  warp.expect = [=](const Lanes& in, Lanes& out) {
    for (size_t lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < vector.count; ++i) {
        const size_t at = which(lane) * vector.bytes() + static_cast<size_t>(i * vector.bits / 8);
        const bool active = !odd_lanes_only || lane % 2 == 1;
        out[static_cast<size_t>(i)][lane] = active ? element(in, at, vector.bits) : 7;
      }
    }
  };
  return warp;
}

/// The programs keep their 16 bytes in `inputs`, 16 bytes a lane, or copy them to shared memory.
std::string text_of(const Vector& vector, bool shared, bool odd_lanes_only,
                    const std::string& which) {
  std::string text = ".reg .pred odd; .reg .b32 number; .reg .b64 at, wide;\n";
  text += "  and.b32 number, index2, 1; setp.ne.u32 odd, number, 0;\n";
  for (int i = 0; i < vector.count; ++i) {
    text += fmt::format("  mov.b{} %d{}, 7;\n", std::max(16, vector.bits), i);
  }
  if (shared) {
    text +=
        "  .shared .align 16 .b8 tile[512];\n"
        "  shl.b32 number, index2, 4; cvt.u64.u32 wide, number; mov.u64 at, tile;\n"
        "  add.u64 at, at, wide; st.shared.v2.b64 [at], {%a0, %a1}; bar.warp.sync -1;\n"
        "  mov.u64 at, tile;\n";
  } else {
    text +=
        "  mul.lo.u32 number, index0, 512; cvt.u64.u32 wide, number;\n"
        "  add.u64 at, pointer0, wide; // %a0\n";
  }
  text += "  " + which + "\n";
  text += fmt::format("  mul.wide.u32 wide, number, {}; add.u64 at, at, wide;\n", vector.bytes());
  text += fmt::format("  {}ld.{}{} {}, [at];", odd_lanes_only ? "@odd " : "",
                      shared ? "shared" : "global", vector.suffix(), vector.list("%d"));
  return text;
}

/// Lanes that write their operands' first bytes to consecutive places of shared memory, and read
/// the 16 bytes at their own place back.
void add_store(Table& table, const Vector& vector) {
  Table::Warp warp;
  const int width = std::max(16, vector.bits);
  warp.operand_bits.assign(static_cast<size_t>(vector.count), width);
  warp.results = 2;
  warp.result_bits = 64;
  warp.draw = [=](Draw& draw, int) { return draw.bits(vector.bits); };
  warp.expect = [=](const Lanes& in, Lanes& out) {
    const auto byte = [&](size_t at) -> uint64_t {
      const size_t lane = at / vector.bytes();
      const size_t within = at % vector.bytes() * 8;
      if (lane >= 32) return 0;
      const auto bits = static_cast<size_t>(vector.bits);
      return in[within / bits][lane] >> (within % bits) & 0xff;
    };
    for (size_t lane = 0; lane < 32; ++lane) {
      for (size_t i = 0; i < 16; ++i) out[i / 8][lane] |= byte(16 * lane + i) << (8 * (i % 8));
    }
  };
  table.add_warp(
      fmt::format("st.shared{} consecutive", vector.suffix()),
      fmt::format(".shared .align 16 .b8 tile[512]; .reg .b32 base, mine, own; .reg .b64 zero;\n"
                  "  mov.u32 base, tile; mov.u64 zero, 0; shl.b32 mine, index2, 4;\n"
                  "  add.u32 mine, mine, base; st.shared.v2.b64 [mine], {{zero, zero}};\n"
                  "  bar.warp.sync -1; mad.lo.u32 own, index2, {}, base;\n"
                  "  st.shared{} [own], {}; bar.warp.sync -1;\n"
                  "  ld.shared.v2.b64 {{%d0, %d1}}, [mine];",
                  vector.bytes(), vector.suffix(), vector.list("%a")),
      warp);
}

}  // namespace

void add_memory_programs(Table& table) {
  for (const Vector& vector : kVectors) {
    for (const bool shared : {false, true}) {
      const std::string op = fmt::format("ld.{}{}", shared ? "shared" : "global", vector.suffix());
      const auto add = [&](const char* pattern, const std::string& text, auto which) {
        for (const bool odd : {false, true}) {
          table.add_warp(fmt::format("{} {}{}", op, pattern, odd ? ", odd lanes" : ""),
                         text_of(vector, shared, odd, text), warp_of(vector, odd, which));
        }
      };
      add("consecutive", "mov.u32 number, index2;", [](size_t lane) { return lane; });
      add("uniform", "mov.u32 number, 5;", [](size_t) { return size_t{5}; });
      add("reversed", "sub.u32 number, 31, index2;", [](size_t lane) { return 31 - lane; });
    }
    add_store(table, vector);
  }
}

}  // namespace assay::virtual_programs
