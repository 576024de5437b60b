#include "evaluator/device/virtual/arithmetic_integer.h"

namespace assay::virtual_gpu {
namespace {

/// What the modes of prmt other than `index` select: one byte number (a nibble) per result byte,
/// for each value of the control's two low bits.
constexpr uint32_t kPermutations[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543},  // f4e: four bytes forwards
    {0x5670, 0x6701, 0x7012, 0x0123},  // b4e: four bytes backwards
    {0x0000, 0x1111, 0x2222, 0x3333},  // rc8: replicate a byte
    {0x3210, 0x3211, 0x3222, 0x3333},  // ecl: edge clamp left
    {0x0000, 0x1110, 0x2210, 0x3210},  // ecr: edge clamp right
    {0x1010, 0x3232, 0x1010, 0x3232},  // rc16: replicate a half
};

int32_t element(uint32_t word, int index, int bits, bool is_signed) {
  const uint32_t moved = word << (32 - bits * (index + 1));
  return is_signed ? static_cast<int32_t>(moved) >> (32 - bits)
                   : static_cast<int32_t>(moved >> (32 - bits));
}

template <typename T>
uint32_t halves(uint32_t a, uint32_t b, bool relu, T (*operation)(T, T)) {
  uint32_t result = 0;
  for (int shift = 0; shift < 32; shift += 16) {
    T value = operation(static_cast<T>(a >> shift), static_cast<T>(b >> shift));
    if (relu) value = max(value, T{0});
    result |= uint32_t{static_cast<uint16_t>(value)} << shift;
  }
  return result;
}

}  // namespace

uint32_t prmt(uint32_t a, uint32_t b, uint32_t control, PermuteMode mode) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  const uint32_t selection =
      mode == PermuteMode::index ? control : kPermutations[static_cast<int>(mode) - 1][control & 3];
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t choice = selection >> (4 * i) & 0xf;
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (choice & 7))) & 0xff;
    if ((choice & 8) != 0) byte = (byte & 0x80) != 0 ? 0xff : 0;  // replicate the sign
    result |= byte << (8 * i);
  }
  return result;
}

uint32_t fns(uint32_t mask, uint32_t base, int32_t offset) {
  constexpr uint32_t kNone = 0xffffffffu;
  if (base > 31) return kNone;
  if (offset == 0) return (mask >> base & 1) != 0 ? base : kNone;
  const int64_t step = offset > 0 ? 1 : -1;
  int64_t remaining = offset > 0 ? int64_t{offset} : -int64_t{offset};
  for (int64_t position = base; position >= 0 && position < 32; position += step) {
    if ((mask >> position & 1) != 0 && --remaining == 0) return static_cast<uint32_t>(position);
  }
  return kNone;
}

uint32_t szext(uint32_t a, uint32_t n, bool is_signed, bool wrap) {
  const uint32_t length = wrap ? n & 31 : n;
  return is_signed ? static_cast<uint32_t>(bfe(static_cast<int32_t>(a), 0, min(length, 32u)))
                   : bfe(a, 0, min(length, 32u));
}

uint32_t bmsk(uint32_t position, uint32_t length, bool wrap) {
  const uint32_t first = wrap ? position & 31 : position;
  const uint32_t count = wrap ? length & 31 : length;
  const uint32_t ones = count >= 32 ? 0xffffffffu : (1u << count) - 1;
  return shl(ones, first);
}

uint32_t dp4a(uint32_t a, bool a_signed, uint32_t b, bool b_signed, uint32_t c) {
  for (int i = 0; i < 4; ++i) {
    c += static_cast<uint32_t>(element(a, i, 8, a_signed) * element(b, i, 8, b_signed));
  }
  return c;
}

uint32_t dp2a(uint32_t a, bool a_signed, uint32_t b, bool b_signed, uint32_t c, bool upper) {
  for (int i = 0; i < 2; ++i) {
    const int32_t factor = element(b, i + (upper ? 2 : 0), 8, b_signed);
    c += static_cast<uint32_t>(element(a, i, 16, a_signed) * factor);
  }
  return c;
}

uint32_t add_16x2(uint32_t a, uint32_t b) {
  return halves<uint16_t>(a, b, false, add_wrap<uint16_t>);
}

uint32_t min_16x2(uint32_t a, uint32_t b, bool is_signed, bool relu) {
  return is_signed ? halves<int16_t>(a, b, relu, min<int16_t>)
                   : halves<uint16_t>(a, b, relu, min<uint16_t>);
}

uint32_t max_16x2(uint32_t a, uint32_t b, bool is_signed, bool relu) {
  return is_signed ? halves<int16_t>(a, b, relu, max<int16_t>)
                   : halves<uint16_t>(a, b, relu, max<uint16_t>);
}

}  // namespace assay::virtual_gpu
