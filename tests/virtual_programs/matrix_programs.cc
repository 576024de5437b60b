#include <fmt/format.h>

#include <array>
#include <cmath>

#include "tests/virtual_programs/host.h"

namespace assay::virtual_programs {
namespace {

namespace oracle = virtual_gpu::oracle;
using Lanes = std::vector<std::vector<uint64_t>>;  // [operand or result][lane]

/// Element formats of tensor-core operands.
struct Format {
  const char* name;
  int bits;
  double (*decode)(uint64_t);
  uint64_t (*draw)(Draw&);
};

double decode_code(const oracle::Table& table, uint64_t code, uint64_t sign) {
  const auto magnitude = static_cast<double>(table.values()[code & (sign - 1)]);
  return (code & sign) != 0 ? -magnitude : magnitude;
}

/// Numbers of modest size, so that no order of summation overflows.
const Format kF16{"f16", 16, [](uint64_t x) { return decode_code(oracle::f16(), x, 0x8000); },
                  [](Draw& draw) { return 0x3000 + draw.below(0x1400) + draw.below(2) * 0x8000; }};
const Format kBF16{"bf16", 16, [](uint64_t x) { return decode_code(oracle::bf16(), x, 0x8000); },
                   [](Draw& draw) { return 0x3e00 + draw.below(0x200) + draw.below(2) * 0x8000; }};
const Format kTF32{
    "tf32", 32,
    [](uint64_t x) { return double{std::bit_cast<float>(static_cast<uint32_t>(x) & ~0x1fffu)}; },
    [](Draw& draw) {
      return (0x3e000000 + draw.below(0x2000000) + draw.below(2) * 0x80000000u) & ~uint64_t{0x1fff};
    }};
const Format kE4M3{"e4m3", 8, [](uint64_t x) { return decode_code(oracle::e4m3(), x, 0x80); },
                   [](Draw& draw) { return draw.below(0x50) + draw.below(2) * 0x80; }};
const Format kE5M2{"e5m2", 8, [](uint64_t x) { return decode_code(oracle::e5m2(), x, 0x80); },
                   [](Draw& draw) { return 0x30 + draw.below(0x18) + draw.below(2) * 0x80; }};
const Format kS8{"s8", 8, [](uint64_t x) { return static_cast<double>(static_cast<int8_t>(x)); },
                 [](Draw& draw) { return draw.below(256); }};
const Format kU8{"u8", 8, [](uint64_t x) { return static_cast<double>(x); },
                 [](Draw& draw) { return draw.below(256); }};
const Format kS4{"s4", 4, [](uint64_t x) { return static_cast<double>(x ^ 8) - 8; },
                 [](Draw& draw) { return draw.below(16); }};
const Format kU4{"u4", 4, [](uint64_t x) { return static_cast<double>(x); },
                 [](Draw& draw) { return draw.below(16); }};
const Format kF64{"f64", 64, [](uint64_t x) { return std::bit_cast<double>(x); },
                  [](Draw& draw) {
                    return std::bit_cast<uint64_t>(static_cast<double>(draw.below(1 << 20)) / 1024);
                  }};

/// Where element i of a lane lies, from PTX's manual: rows of 8 by lane / 4, and runs of as many
/// columns as one register holds by lane % 4.
struct Place {
  int row, column;
};
Place place_a(int lane, int i, int per_register, int m) {
  const int reg = i / per_register;
  const bool lower_half = m == 16 && reg % 2 == 1;
  const int k_step = m == 16 ? reg / 2 : reg;
  return {lane / 4 + (lower_half ? 8 : 0),
          lane % 4 * per_register + i % per_register + k_step * 4 * per_register};
}
Place place_b(int lane, int i, int per_register) {
  return {lane % 4 * per_register + i % per_register + i / per_register * 4 * per_register,
          lane / 4};
}
Place place_c(int lane, int i) { return {lane / 4 + (i >= 2 ? 8 : 0), lane % 4 * 2 + i % 2}; }

std::string list(const char* prefix, int first, int count) {
  std::string text = "{";
  for (int i = 0; i < count; ++i)
    text += fmt::format("{}{}{}", i == 0 ? "" : ", ", prefix, first + i);
  return text + "}";
}

struct Mma {
  int m, n, k;
  const Format& a;
  const Format& b;
  const char* sum;  // "f32" "f16" "s32" "f64"
  const char* suffix = "";
};

/// The exact sum in double, in the order of k.
void multiply(const Mma& mma, const Lanes& in, Lanes& out) {
  const int e = std::max(1, 32 / mma.a.bits);
  const int a_registers = mma.m * mma.k / 32 / e, b_registers = mma.n * mma.k / 32 / e;
  std::vector<double> a(static_cast<size_t>(mma.m * mma.k)), b(static_cast<size_t>(mma.k * mma.n));
  const auto element = [&](const Format& format, int first, int lane, int i) {
    const uint64_t word = in[static_cast<size_t>(first + i / e)][static_cast<size_t>(lane)];
    const uint64_t mask = format.bits == 64 ? ~uint64_t{0} : (uint64_t{1} << format.bits) - 1;
    return format.decode(word >> (i % e * format.bits) & mask);
  };
  const std::string sum = mma.sum;
  const int c_count = mma.m * mma.n / 32;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < a_registers * e; ++i) {
      const Place p = place_a(lane, i, e, mma.m);
      a[static_cast<size_t>(p.row * mma.k + p.column)] = element(mma.a, 0, lane, i);
    }
    for (int i = 0; i < b_registers * e; ++i) {
      const Place p = place_b(lane, i, e);
      b[static_cast<size_t>(p.row * mma.n + p.column)] = element(mma.b, a_registers, lane, i);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < c_count; ++i) {
      const Place p = place_c(lane, i);
      const int per = sum == "f16" ? 2 : 1;
      const size_t word = static_cast<size_t>(a_registers + b_registers + i / per);
      const uint64_t c = in[word][static_cast<size_t>(lane)] >> (i % per * 16);
      double total = sum == "f32"   ? double{std::bit_cast<float>(static_cast<uint32_t>(c))}
                     : sum == "f16" ? decode_code(oracle::f16(), c & 0xffff, 0x8000)
                     : sum == "f64" ? std::bit_cast<double>(c)
                                    : static_cast<double>(static_cast<int32_t>(c));
      for (int k = 0; k < mma.k; ++k) {
        total = std::fma(a[static_cast<size_t>(p.row * mma.k + k)],
                         b[static_cast<size_t>(k * mma.n + p.column)], total);
      }
      uint64_t& result = out[static_cast<size_t>(i / per)][static_cast<size_t>(lane)];
      if (sum == "f16") {
        const uint64_t code = oracle::f16().magnitude_code(total, Rounding::rn) |
                              (std::signbit(total) ? 0x8000u : 0u);
        result |= code << (i % 2 * 16);
      } else if (sum == "f32") {
        result = virtual_gpu::to_register(static_cast<float>(total));
      } else if (sum == "f64") {
        result = virtual_gpu::to_register(total);
      } else {
        const bool clamp = std::string(mma.suffix) == ".satfinite";
        const auto whole = static_cast<int64_t>(total);
        result =
            static_cast<uint32_t>(clamp ? std::clamp<int64_t>(whole, INT32_MIN, INT32_MAX) : whole);
      }
    }
  }
}

void add_mma(Table& table, const Mma& mma) {
  const std::string sum = mma.sum;
  const int e = std::max(1, 32 / mma.a.bits);
  const int a = mma.m * mma.k / 32 / e, b = mma.n * mma.k / 32 / e;
  const int c = mma.m * mma.n / 32 / (sum == "f16" ? 2 : 1);
  Table::Warp warp;
  warp.operand_bits.assign(static_cast<size_t>(a + b + c), sum == "f64" ? 64 : 32);
  warp.results = c;
  warp.result_bits = sum == "f64" ? 64 : 32;
  warp.result_slot = sum == "f32" ? Slot::f32 : sum == "f64" ? Slot::f64 : Slot::bits;
  // The tensor cores cut off low bits where the exact sum keeps them; f16 sums are small integers.
  if (sum == "f32") warp.check = {Check::Kind::ulps, 1, mma.k * 0x1p-18};
  if (sum == "f64") warp.check = {Check::Kind::ulps, 4, 1e-9};
  const bool clamp = std::string(mma.suffix) == ".satfinite";
  const Format* const fa = &mma.a;
  const Format* const fb = &mma.b;
  warp.draw = [=](Draw& draw, int operand) -> uint64_t {
    if (operand >= a + b) {
      if (sum == "f32") return std::bit_cast<uint32_t>(static_cast<float>(draw.below(64)) / 4);
      if (sum == "f64") return std::bit_cast<uint64_t>(static_cast<double>(draw.below(64)));
      if (sum == "f16") return uint64_t{0x4400} << 16 | 0xc800;
      return clamp ? 0x7fffff00u : draw.below(100000);
    }
    const Format& format = operand < a ? *fa : *fb;
    if (sum == "f16") {
      // Powers of two between 1/4 and 1: every order of summation is exact.
      const uint64_t code = format.bits == 16                    ? 0x3400 + draw.below(3) * 0x400
                            : format.name == std::string("e4m3") ? 0x28 + draw.below(3) * 8
                                                                 : 0x34 + draw.below(3) * 4;
      uint64_t word = 0;
      for (int i = 0; i < e; ++i) word |= code << (i * format.bits);
      return word;
    }
    uint64_t word = 0;
    for (int i = 0; i < e; ++i)
      word |= format.draw(draw) << (format.bits == 64 ? 0 : i * format.bits);
    return word;
  };
  warp.expect = [mma](const Lanes& in, Lanes& out) { multiply(mma, in, out); };
  const std::string text = fmt::format("mma.sync.aligned.m{}n{}k{}.row.col{}.{}.{}.{}.{}", mma.m,
                                       mma.n, mma.k, mma.suffix, sum, mma.a.name, mma.b.name, sum);
  table.add_warp(text,
                 fmt::format("{} {}, {}, {}, {};", text, list("%d", 0, c), list("%a", 0, a),
                             list("%a", a, b), list("%a", a + b, c)),
                 warp);
}

void add_bit_mma(Table& table) {
  for (const bool is_and : {false, true}) {
    Table::Warp warp;
    warp.operand_bits.assign(10, 32);
    warp.results = 4;
    warp.draw = [](Draw& draw, int operand) {
      return operand < 6 ? draw.bits(32) : draw.below(1000);
    };
    warp.expect = [=](const Lanes& in, Lanes& out) {
      for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < 4; ++i) {
          const Place p = place_c(lane, i);
          uint64_t sum = in[static_cast<size_t>(6 + i)][static_cast<size_t>(lane)];
          for (int chunk = 0; chunk < 8; ++chunk) {  // 32 columns of k each
            const auto a_register = static_cast<size_t>(chunk / 4 * 2 + (p.row >= 8 ? 1 : 0));
            const auto a_lane = static_cast<size_t>(p.row % 8 * 4 + chunk % 4);
            const auto b_lane = static_cast<size_t>(p.column * 4 + chunk % 4);
            const uint64_t x = in[a_register][a_lane],
                           y = in[4 + static_cast<size_t>(chunk / 4)][b_lane];
            sum += static_cast<uint64_t>(std::popcount(is_and ? x & y : x ^ y));
          }
          out[static_cast<size_t>(i)][static_cast<size_t>(lane)] = sum;
        }
      }
    };
    const std::string op = is_and ? "and" : "xor";
    table.add_warp(
        fmt::format("mma.m16n8k256.{}.popc", op),
        fmt::format("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.{}.popc {}, {}, {}, {};", op,
                    list("%d", 0, 4), list("%a", 0, 4), list("%a", 4, 2), list("%a", 6, 4)),
        warp);
  }
}

/// The 16-bit element at row and column of the 8 rows that the lanes from 8 * matrix on hold.
uint64_t matrix_element(const Lanes& in, int matrix, int row, int column) {
  const uint64_t half = in[column >= 4 ? 1 : 0][static_cast<size_t>(8 * matrix + row)];
  return half >> (16 * (column % 4)) & 0xffff;
}

constexpr const char* kStage =
    ".shared .align 16 .b8 tile[512]; .reg .u32 base, mine, lane;\n"
    "  mov.u32 base, tile; mov.u32 lane, %laneid; shl.b32 mine, lane, 4; add.u32 mine, mine, "
    "base;\n";

void add_matrix_loads(Table& table) {
  for (const int count : {1, 2, 4}) {
    for (const bool transpose : {false, true}) {
      Table::Warp warp;
      warp.operand_bits = {64, 64};
      warp.results = count;
      warp.draw = [](Draw& draw, int) { return draw.bits(64); };
      warp.expect = [=](const Lanes& in, Lanes& out) {
        for (int matrix = 0; matrix < count; ++matrix) {
          for (int lane = 0; lane < 32; ++lane) {
            const int group = lane / 4, pair = lane % 4 * 2;
            const auto at = [&](int i) {
              return transpose ? matrix_element(in, matrix, pair + i, group)
                               : matrix_element(in, matrix, group, pair + i);
            };
            out[static_cast<size_t>(matrix)][static_cast<size_t>(lane)] = at(1) << 16 | at(0);
          }
        }
      };
      const std::string op = fmt::format("ldmatrix.sync.aligned.m8n8.x{}{}.shared.b16", count,
                                         transpose ? ".trans" : "");
      table.add_warp(op,
                     fmt::format("{}  st.shared.v2.b64 [mine], {{%a0, %a1}}; bar.warp.sync -1;\n"
                                 "  {} {}, [mine];",
                                 kStage, op, list("%d", 0, count)),
                     warp);
    }
  }
  Table::Warp warp;
  warp.operand_bits = {32, 32};
  warp.results = 2;
  warp.result_bits = 64;
  warp.draw = [](Draw& draw, int) { return draw.bits(32); };
  warp.expect = [](const Lanes& in, Lanes& out) {
    // Lane r of 8 * matrix + r reads back row r: its four words are those of the lanes 4r .. 4r
    // + 3.
    for (size_t lane = 0; lane < 32; ++lane) {
      const size_t matrix = lane / 8, row = lane % 8;
      for (size_t half = 0; half < 2; ++half) {
        out[half][lane] =
            matrix > 1 ? 0
                       : in[matrix][4 * row + 2 * half] | in[matrix][4 * row + 2 * half + 1] << 32;
      }
    }
  };
  table.add_warp(
      "stmatrix.sync.aligned.m8n8.x2.shared.b16",
      std::string(kStage) +
          "  .reg .u64 zero; mov.u64 zero, 0; st.shared.v2.b64 [mine], {zero, zero}; "
          "bar.warp.sync -1;\n  stmatrix.sync.aligned.m8n8.x2.shared.b16 [mine], {%a0, %a1};\n"
          "  bar.warp.sync -1; ld.shared.v2.b64 {%d0, %d1}, [mine];",
      warp);
  Table::Warp move;
  move.operand_bits = {32};
  move.draw = [](Draw& draw, int) { return draw.bits(32); };
  move.expect = [](const Lanes& in, Lanes& out) {
    for (size_t lane = 0; lane < 32; ++lane) {
      const auto at = [&](size_t row, size_t column) {
        return in[0][4 * row + column / 2] >> (16 * (column % 2)) & 0xffff;
      };
      const size_t group = lane / 4, pair = lane % 4 * 2;
      out[0][lane] = at(pair, group) | at(pair + 1, group) << 16;
    }
  };
  table.add_warp("movmatrix.sync.aligned.m8n8.trans.b16",
                 "movmatrix.sync.aligned.m8n8.trans.b16 %d0, %a0;", move);
}

/// wmma through memory: 16 by 16 f16 matrices, 16 bytes of each a lane.
void add_wmma(Table& table) {
  for (const bool a_row : {false, true}) {
    for (const bool b_row : {false, true}) {
      Table::Warp warp;
      warp.operand_bits = {64, 64, 64, 64};  // half a row (or column) of A, and of B
      warp.results = 4;
      warp.result_bits = 64;
      warp.draw = [](Draw& draw, int) {
        uint64_t word = 0;
        // Small integers, exact in any order: -3 .. 3.
        const uint64_t codes[] = {0x0000, 0x3c00, 0x4000, 0x4200, 0xbc00, 0xc000, 0xc200};
        for (int i = 0; i < 4; ++i) word |= codes[draw.below(7)] << (16 * i);
        return word;
      };
      warp.expect = [=](const Lanes& in, Lanes& out) {
        const auto element = [&](size_t first, size_t major, size_t minor) {
          const size_t lane = major * 2 + minor / 8;
          const uint64_t word = in[first + minor % 8 / 4][lane];
          return decode_code(oracle::f16(), word >> (16 * (minor % 4)) & 0xffff, 0x8000);
        };
        for (size_t lane = 0; lane < 32; ++lane) {
          for (size_t i = 0; i < 8; ++i) {
            const size_t row = lane / 2, column = lane % 2 * 8 + i;
            double sum = 0;
            for (size_t k = 0; k < 16; ++k) {
              sum += (a_row ? element(0, row, k) : element(0, k, row)) *
                     (b_row ? element(2, k, column) : element(2, column, k));
            }
            out[i / 2][lane] |= virtual_gpu::to_register(static_cast<float>(sum)) << (32 * (i % 2));
          }
        }
      };
      const char* const a_layout = a_row ? "row" : "col";
      const char* const b_layout = b_row ? "row" : "col";
      const std::string text = fmt::format(
          ".shared .align 32 .b8 as[512]; .shared .align 32 .b8 bs[512];\n"
          "  .shared .align 32 .b8 ds[1024]; .reg .u32 abase, bbase, dbase, lane, at;\n"
          "  .reg .b32 fa<8>, fb<8>, fd<8>, stride; mov.u32 stride, 16;\n"
          "  mov.u32 abase, as; mov.u32 bbase, bs; mov.u32 dbase, ds; mov.u32 lane, %laneid;\n"
          "  shl.b32 at, lane, 4; add.u32 at, at, abase; st.shared.v2.b64 [at], {{%a0, %a1}};\n"
          "  shl.b32 at, lane, 4; add.u32 at, at, bbase; st.shared.v2.b64 [at], {{%a2, %a3}};\n"
          "  bar.warp.sync -1;\n"
          "  wmma.load.a.sync.aligned.{0}.m16n16k16.shared.f16 {2}, [abase], stride;\n"
          "  wmma.load.b.sync.aligned.{1}.m16n16k16.shared.f16 {3}, [bbase], stride;\n"
          "  mov.b32 fd0, 0; mov.b32 fd1, 0; mov.b32 fd2, 0; mov.b32 fd3, 0;\n"
          "  mov.b32 fd4, 0; mov.b32 fd5, 0; mov.b32 fd6, 0; mov.b32 fd7, 0;\n"
          "  wmma.mma.sync.aligned.{0}.{1}.m16n16k16.f32.f32 {4}, {2}, {3}, {4};\n"
          "  wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [dbase], {4}, stride;\n"
          "  bar.warp.sync -1; shl.b32 at, lane, 5; add.u32 at, at, dbase;\n"
          "  ld.shared.v2.b64 {{%d0, %d1}}, [at]; ld.shared.v2.b64 {{%d2, %d3}}, [at+16];",
          a_layout, b_layout, list("fa", 0, 8), list("fb", 0, 8), list("fd", 0, 8));
      table.add_warp(fmt::format("wmma.m16n16k16.f16.{}.{}", a_layout, b_layout), text, warp);
    }
  }
}

}  // namespace

void add_matrix_programs(Table& table) {
  for (const int k : {8, 16}) {
    add_mma(table, {16, 8, k, kF16, kF16, "f32"});
    add_mma(table, {16, 8, k, kF16, kF16, "f16"});
    add_mma(table, {16, 8, k, kBF16, kBF16, "f32"});
  }
  add_mma(table, {16, 8, 4, kTF32, kTF32, "f32"});
  add_mma(table, {16, 8, 8, kTF32, kTF32, "f32"});
  add_mma(table, {16, 8, 32, kE4M3, kE4M3, "f32"});
  add_mma(table, {16, 8, 32, kE5M2, kE5M2, "f32"});
  add_mma(table, {16, 8, 32, kE4M3, kE5M2, "f32"});
  add_mma(table, {16, 8, 16, kE5M2, kE4M3, "f32"});
  add_mma(table, {16, 8, 32, kE4M3, kE4M3, "f16"});
  for (const Format* const a : {&kS8, &kU8}) {
    for (const Format* const b : {&kS8, &kU8}) {
      for (const int k : {16, 32}) add_mma(table, {16, 8, k, *a, *b, "s32"});
      add_mma(table, {8, 8, 16, *a, *b, "s32"});
    }
  }
  add_mma(table, {16, 8, 32, kU8, kU8, "s32", ".satfinite"});
  add_mma(table, {16, 8, 64, kS4, kU4, "s32"});
  add_mma(table, {16, 8, 32, kU4, kU4, "s32"});
  add_mma(table, {8, 8, 32, kS4, kS4, "s32"});
  add_mma(table, {8, 8, 4, kF64, kF64, "f64"});
  for (const int k : {4, 8, 16}) add_mma(table, {16, 8, k, kF64, kF64, "f64"});
  add_bit_mma(table);
  add_matrix_loads(table);
  add_wmma(table);
}

}  // namespace assay::virtual_programs
