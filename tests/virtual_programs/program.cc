#include "tests/virtual_programs/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay::virtual_programs {
namespace {

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

std::string kernel_text(const Program& program, size_t index) {
  std::string text = fmt::format(
      ".visible .entry {}(.param .u64 inputs, .param .u64 outputs)\n{{\n"
      "  .reg .b64 pointer<4>;\n  .reg .b32 index<4>;\n",
      program.kernel(index));
  for (int i = 0; i < program.operands; ++i) {
    text += fmt::format("  .reg .b{} %in{};\n", program.operand_bits[static_cast<size_t>(i)], i);
  }
  for (int i = 0; i < program.results; ++i) {
    text += fmt::format("  .reg .b{} %out{};\n", program.result_bits, i);
  }
  text += fmt::format(
      "  mov.u32 index0, %ctaid.x;\n  mov.u32 index1, %ntid.x;\n  mov.u32 index2, %tid.x;\n"
      "  mad.lo.u32 index3, index0, index1, index2;\n"
      "  ld.param.u64 pointer0, [inputs];\n  ld.param.u64 pointer1, [outputs];\n"
      "  mad.wide.u32 pointer2, index3, {}, pointer0;\n"
      "  mad.wide.u32 pointer3, index3, {}, pointer1;\n",
      8 * program.operands, 8 * program.results);
  for (int i = 0; i < program.operands; ++i) {
    text += fmt::format("  ld.global.b{} %in{}, [pointer2+{}];\n",
                        program.operand_bits[static_cast<size_t>(i)], i, 8 * i);
  }
  std::string body = program.text;
  replace_all(body, "%d", "%out");
  if (program.text.find("%a0") != std::string::npos) {
    replace_all(body, "%a", "%in");
  } else {
    replace_all(body, "%out", "%out0");
    const char* const names[] = {"%a", "%b", "%c", "%e"};
    for (int i = 0; i < 4; ++i) replace_all(body, names[i], "%in" + std::to_string(i));
  }
  text += "  {\n  " + body + "\n  }\n";
  for (int i = 0; i < program.results; ++i) {
    text += fmt::format("  st.global.b{} [pointer3+{}], %out{};\n", program.result_bits, 8 * i, i);
  }
  return text + "  ret;\n}\n";
}

double as_number(uint64_t bits, Slot slot) {
  switch (slot) {
    case Slot::f16:
      return static_cast<double>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
    case Slot::bf16:
      return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    case Slot::f32:
      return std::bit_cast<float>(static_cast<uint32_t>(bits));
    case Slot::f64:
      return std::bit_cast<double>(bits);
    case Slot::bits:
      break;
  }
  return static_cast<double>(bits);
}

/// Codes of a sign-magnitude format in the order of their values.
int64_t ordered(uint64_t bits, int width) {
  const uint64_t sign = uint64_t{1} << (width - 1);
  const auto magnitude = static_cast<int64_t>(bits & (sign - 1));
  return (bits & sign) != 0 ? -magnitude : magnitude;
}

bool matches(const Program& program, uint64_t got, uint64_t want) {
  const uint64_t mask =
      program.result_bits == 64 ? ~uint64_t{0} : (uint64_t{1} << program.result_bits) - 1;
  got &= mask;
  if (got == want) return true;
  if (program.check.kind == Check::Kind::exact) return false;
  const double x = as_number(got, program.result_slot);
  const double y = as_number(want, program.result_slot);
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
  if (program.check.kind == Check::Kind::any_nan) return false;
  if (std::isfinite(x) && std::isfinite(y) && std::fabs(x - y) <= program.check.absolute) {
    return true;
  }
  const int64_t distance = ordered(got, program.result_bits) - ordered(want, program.result_bits);
  return std::fabs(static_cast<double>(distance)) <= program.check.bound;
}

}  // namespace

std::string module_text(std::span<const Program> programs) {
  std::string text = ".version 8.7\n.target sm_90\n.address_size 64\n\n";
  for (size_t i = 0; i < programs.size(); ++i) text += kernel_text(programs[i], i) + "\n";
  return text;
}

std::string mismatches(const Program& program, std::span<const uint64_t> outputs) {
  std::string text;
  size_t wrong = 0;
  for (size_t i = 0; i < program.expected.size(); ++i) {
    if (matches(program, outputs[i], program.expected[i])) continue;
    if (++wrong > 4) continue;
    const auto results = static_cast<size_t>(program.results);
    const auto operands = static_cast<size_t>(program.operands);
    text += fmt::format("\n  lane {} result {}: got {:#x}, want {:#x}; operands", i / results,
                        i % results, outputs[i], program.expected[i]);
    for (size_t j = 0; j < std::min<size_t>(operands, 4); ++j) {
      text += fmt::format(" {:#x}", program.inputs[i / results * operands + j]);
    }
  }
  if (wrong == 0) return {};
  return fmt::format("{}: {} of {} wrong{}", program.name, wrong, program.expected.size(), text);
}

std::vector<Program> all_programs() {
  std::vector<Program> programs;
  Table table(programs);
  add_float_programs(table);
  add_half_programs(table);
  add_convert_programs(table);
  add_integer_programs(table);
  add_approximate_programs(table);
  add_matrix_programs(table);
  add_memory_programs(table);
  return programs;
}

uint32_t canonical(float x) { return x != x ? 0x7fffffffu : std::bit_cast<uint32_t>(x); }

Draw::Draw(const std::string& seed) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a, so that a row's operands never change
  for (const char c : seed) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  random_.seed(hash);
}

uint64_t Draw::bits(int width) {
  const uint64_t mask = width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  const uint64_t top = uint64_t{1} << (width - 1);
  switch (random_() % 8) {
    case 0: {
      const uint64_t special[] = {0, 1, 2, 3, top - 1, top, top + 1, mask, mask - 1};
      return special[random_() % std::size(special)] & mask;
    }
    case 1:
      return (uint64_t{1} << (random_() % static_cast<uint64_t>(width))) & mask;
    case 2:
      return random_() % 16;
    case 3:
      return random_() & mask & random_() & random_();
    case 4:
      return (uint64_t{0} - random_() % 100) & mask;
    default:
      return random_() & mask;
  }
}

uint64_t Draw::floating(int exponent_bits, int mantissa_bits) {
  const uint64_t ones = (uint64_t{1} << exponent_bits) - 1;
  const uint64_t bias = ones >> 1;
  const uint64_t infinity = ones << mantissa_bits;
  const uint64_t one = bias << mantissa_bits;
  const uint64_t sign = (random_() & 1) << (exponent_bits + mantissa_bits);
  const uint64_t mantissa = random_() & ((uint64_t{1} << mantissa_bits) - 1);
  switch (random_() % 8) {
    case 0: {
      const uint64_t special[] = {0,
                                  1,
                                  one,
                                  one + 1,
                                  one - 1,
                                  infinity - 1,
                                  infinity,
                                  infinity | uint64_t{1} << (mantissa_bits - 1),
                                  uint64_t{1} << mantissa_bits,
                                  (uint64_t{1} << mantissa_bits) - 1,
                                  (bias + 1) << mantissa_bits,
                                  (bias - 1) << mantissa_bits};
      return sign | special[random_() % std::size(special)];
    }
    case 1:
      return sign | mantissa;  // subnormal
    case 2:
      return sign | (random_() % ones) << mantissa_bits | mantissa;  // any exponent
    default:
      return sign | (bias - 6 + random_() % 13) << mantissa_bits | mantissa;
  }
}

void Table::add_warp(std::string name, std::string text, const Warp& warp) {
  Program program;
  program.name = std::move(name);
  program.text = std::move(text);
  program.operands = static_cast<int>(warp.operand_bits.size());
  program.operand_bits = warp.operand_bits;
  program.results = warp.results;
  program.result_bits = warp.result_bits;
  program.result_slot = warp.result_slot;
  program.check = warp.check;
  program.lanes = 32 * warp.warps;
  Draw draw(program.name);
  for (uint32_t i = 0; i < warp.warps; ++i) {
    std::vector<std::vector<uint64_t>> operands(warp.operand_bits.size(),
                                                std::vector<uint64_t>(32));
    std::vector<std::vector<uint64_t>> results(static_cast<size_t>(warp.results),
                                               std::vector<uint64_t>(32));
    for (size_t lane = 0; lane < 32; ++lane) {
      for (size_t j = 0; j < operands.size(); ++j) {
        operands[j][lane] = warp.draw(draw, static_cast<int>(j));
        program.inputs.push_back(operands[j][lane]);
      }
    }
    warp.expect(operands, results);
    for (size_t lane = 0; lane < 32; ++lane) {
      for (const std::vector<uint64_t>& result : results) program.expected.push_back(result[lane]);
    }
  }
  programs_.push_back(std::move(program));
}

}  // namespace assay::virtual_programs
