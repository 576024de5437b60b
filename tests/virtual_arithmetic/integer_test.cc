#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "evaluator/device/virtual/arithmetic_integer.h"

namespace assay::virtual_gpu {
namespace {

/// The bit-by-bit definitions of PTX's manual.
template <typename T>
T bfe_by_bits(T a, uint32_t position, uint32_t length) {
  const uint32_t top = 8 * sizeof(T) - 1;
  const auto bit = [&](uint32_t i) { return static_cast<uint64_t>(a) >> i & 1; };
  if (sizeof(T) == 4) {
    position &= 0xff;
    length &= 0xff;
  }
  const bool fill =
      std::is_signed_v<T> && length > 0 &&
      bit(static_cast<uint32_t>(std::min<uint64_t>(uint64_t{position} + length - 1, top)));
  uint64_t result = 0;
  for (uint32_t i = 0; i <= top; ++i) {
    const bool inside = i < length && uint64_t{position} + i <= top;
    result |= uint64_t{inside ? bit(position + i) : fill} << i;
  }
  return static_cast<T>(result);
}

template <typename T>
T bfi_by_bits(T field, T base, uint32_t position, uint32_t length) {
  const uint32_t top = 8 * sizeof(T) - 1;
  if (sizeof(T) == 4) {
    position &= 0xff;
    length &= 0xff;
  }
  auto result = static_cast<uint64_t>(base);
  for (uint32_t i = 0; i < length && uint64_t{position} + i <= top; ++i) {
    result &= ~(uint64_t{1} << (position + i));
    result |= (static_cast<uint64_t>(field) >> i & 1) << (position + i);
  }
  return static_cast<T>(result);
}

uint32_t bmsk_by_definition(uint32_t a, uint32_t b, bool clamp) {
  const uint32_t a1 = a & 31, b1 = b & 31;
  uint32_t mask0 = ~0u << a1;
  const uint32_t sum = a1 + b1;
  uint32_t mask1 = sum >= 32 ? 0 : ~0u << sum;
  if (clamp && a >= 32) mask0 = mask1 = 0;
  if (clamp && b >= 32) mask1 = 0;
  return mask0 & ~mask1;
}

template <typename T>
void expect_bit_fields() {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const T a = static_cast<T>(random()), b = static_cast<T>(random());
    const auto position = static_cast<uint32_t>(random() % (i % 2 == 0 ? 70 : 600));
    const auto length = static_cast<uint32_t>(random() % (i % 3 == 0 ? 300 : 70));
    ASSERT_EQ(bfe(a, position, length), bfe_by_bits(a, position, length))
        << +a << " " << position << " " << length;
    ASSERT_EQ(bfi(a, b, position, length), bfi_by_bits(a, b, position, length));
  }
}

TEST(BitFields, ExtractAndInsertFollowTheDefinition) {
  expect_bit_fields<uint32_t>();
  expect_bit_fields<int32_t>();
  expect_bit_fields<uint64_t>();
  expect_bit_fields<int64_t>();
}

TEST(BitFields, MasksAndExtensions) {
  for (uint32_t a = 0; a < 70; ++a) {
    for (uint32_t b = 0; b < 70; ++b) {
      ASSERT_EQ(bmsk(a, b, false), bmsk_by_definition(a, b, true)) << a << " " << b;
      ASSERT_EQ(bmsk(a, b, true), bmsk_by_definition(a, b, false)) << a << " " << b;
    }
  }
  EXPECT_EQ(szext(0x80, 8, true, false), 0xffffff80u);
  EXPECT_EQ(szext(0x180, 8, false, false), 0x80u);
  EXPECT_EQ(szext(0xffffffffu, 0, true, false), 0u);
  EXPECT_EQ(szext(0x87654321u, 40, true, false), 0x87654321u);
  EXPECT_EQ(szext(0x87654321u, 40, false, true), 0x21u);
}

TEST(Shifts, ClampAmountsAtTheWidth) {
  EXPECT_EQ(shl(1u, 31), 0x80000000u);
  EXPECT_EQ(shl(1u, 32), 0u);
  EXPECT_EQ(shl(uint64_t{1}, 63), uint64_t{1} << 63);
  EXPECT_EQ(shl(uint16_t{1}, 16), 0);
  EXPECT_EQ(shr(0x80000000u, 33), 0u);
  EXPECT_EQ(shr(int32_t{-8}, 1), -4);
  EXPECT_EQ(shr(int32_t{-8}, 0xffffffffu), -1);
  EXPECT_EQ(shr(int64_t{-8}, 64), -1);
  EXPECT_EQ(shr(int16_t{0x4000}, 16), 0);
}

TEST(Shifts, FunnelShiftWrapsOrClamps) {
  const uint32_t lo = 0x89abcdefu, hi = 0x01234567u;
  EXPECT_EQ(shf_l(lo, hi, 8, true), 0x23456789u);
  EXPECT_EQ(shf_r(lo, hi, 8, true), 0x6789abcdu);
  EXPECT_EQ(shf_l(lo, hi, 32, true), hi);
  EXPECT_EQ(shf_l(lo, hi, 32, false), lo);
  EXPECT_EQ(shf_l(lo, hi, 99, false), lo);
  EXPECT_EQ(shf_r(lo, hi, 32, true), lo);
  EXPECT_EQ(shf_r(lo, hi, 99, false), hi);
}

TEST(Products, HighHalvesAndCarries) {
  EXPECT_EQ(mul_hi(0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(mul_hi(int32_t{-1}, int32_t{1}), -1);
  EXPECT_EQ(mul_hi(int16_t{-32768}, int16_t{-32768}), 0x4000);
  EXPECT_EQ(mul_hi(~uint64_t{0}, ~uint64_t{0}), ~uint64_t{0} - 1);
  EXPECT_EQ(mul_hi(int64_t{-1}, int64_t{5}), -1);
  EXPECT_EQ(mul_lo(int32_t{0x40000000}, int32_t{4}), 0);
  EXPECT_EQ(mul24_lo(0xff800001u, 2u), 0x01000002u);
  EXPECT_EQ(mul24_lo(int32_t{0x00ffffff}, int32_t{5}), -5);
  EXPECT_EQ(mul24_hi(0x00ffffffu, 0x00ffffffu), 0xfffffe00u);
  EXPECT_EQ(mul24_hi(int32_t{0x00800000}, int32_t{0x007fffff}), -(1 << 30) + 128);
  EXPECT_EQ(mad_hi_sat(0x7fffffff, 0x7fffffff, 0x7fffffff), 0x7fffffff);
  EXPECT_EQ(add_sat(0x7fffffff, 1), 0x7fffffff);
  EXPECT_EQ(sub_sat(-0x7fffffff, 2), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(sad(3u, 0xfffffffeu, 1u), 0xfffffffcu);
  EXPECT_EQ(sad(int32_t{-3}, int32_t{4}, int32_t{10}), 17);

  bool carry = false;
  EXPECT_EQ(add_carry(0xffffffffu, 1u, carry), 0u);
  EXPECT_TRUE(carry);
  EXPECT_EQ(add_carry(0xffffffffu, 0xffffffffu, carry), 0xffffffffu);
  EXPECT_TRUE(carry);
  EXPECT_EQ(add_carry(uint64_t{1}, uint64_t{1}, carry), 3u);
  EXPECT_FALSE(carry);
  EXPECT_EQ(sub_borrow(0u, 1u, carry), 0xffffffffu);
  EXPECT_TRUE(carry);
  EXPECT_EQ(sub_borrow(5u, 5u, carry), 0xffffffffu);
  EXPECT_TRUE(carry);
  EXPECT_EQ(sub_borrow(5u, 3u, carry), 1u);
  EXPECT_FALSE(carry);
}

TEST(Division, NeverTraps) {
  EXPECT_EQ(divide(7u, 2u), 3u);
  EXPECT_EQ(divide(7u, 0u), 0xffffffffu);
  EXPECT_EQ(divide(std::numeric_limits<int32_t>::min(), -1), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(divide(std::numeric_limits<int64_t>::min(), int64_t{-1}),
            std::numeric_limits<int64_t>::min());
  EXPECT_EQ(divide(int32_t{-7}, int32_t{2}), -3);
  EXPECT_EQ(remainder(int32_t{-7}, int32_t{2}), -1);
  EXPECT_EQ(remainder(7u, 0u), 0xffffffffu);
  EXPECT_EQ(remainder(std::numeric_limits<int32_t>::min(), -1), 0);
}

TEST(Permute, SelectsBytesAndReplicatesSigns) {
  const uint32_t a = 0x83828180u, b = 0x07060504u;
  EXPECT_EQ(prmt(a, b, 0x3210), a);
  EXPECT_EQ(prmt(a, b, 0x7654), b);
  EXPECT_EQ(prmt(a, b, 0x0426), 0x80048206u);
  EXPECT_EQ(prmt(a, b, 0xc8c8), 0x00ff00ffu);
  EXPECT_EQ(prmt(a, b, 1, PermuteMode::f4e), 0x04838281u);
  EXPECT_EQ(prmt(a, b, 2, PermuteMode::b4e), 0x07808182u);
  EXPECT_EQ(prmt(a, b, 3, PermuteMode::rc8), 0x83838383u);
  EXPECT_EQ(prmt(a, b, 1, PermuteMode::ecl), 0x83828181u);
  EXPECT_EQ(prmt(a, b, 2, PermuteMode::ecr), 0x82828180u);
  EXPECT_EQ(prmt(a, b, 1, PermuteMode::rc16), 0x83828382u);
  EXPECT_EQ(prmt(a, b, 0xfffffff1u, PermuteMode::rc8), 0x81818181u)
      << "only two bits of the control count";
}

TEST(Permute, FollowsTheTableOfEveryMode) {
  struct Row {
    PermuteMode mode;
    uint32_t results[4];  // byte numbers of b:a, highest first
  };
  const Row rows[] = {
      {PermuteMode::f4e, {0x03020100u, 0x04030201u, 0x05040302u, 0x06050403u}},
      {PermuteMode::b4e, {0x05060700u, 0x06070001u, 0x07000102u, 0x00010203u}},
      {PermuteMode::rc8, {0x00000000u, 0x01010101u, 0x02020202u, 0x03030303u}},
      {PermuteMode::ecl, {0x03020100u, 0x03020101u, 0x03020202u, 0x03030303u}},
      {PermuteMode::ecr, {0x00000000u, 0x01010100u, 0x02020100u, 0x03020100u}},
      {PermuteMode::rc16, {0x01000100u, 0x03020302u, 0x01000100u, 0x03020302u}},
  };
  for (const Row& row : rows) {
    for (uint32_t control = 0; control < 4; ++control) {
      EXPECT_EQ(prmt(0x03020100u, 0x07060504u, control, row.mode), row.results[control]);
    }
  }
}

TEST(Logic, EveryTableOfLop3) {
  const uint32_t a = 0xf0f0f0f0u, b = 0xccccccccu, c = 0xaaaaaaaau;
  for (uint32_t table = 0; table < 256; ++table) {
    // With these operands, bit i of each byte of the result is the table's bit i.
    ASSERT_EQ(lop3(a, b, c, static_cast<uint8_t>(table)), table * 0x01010101u);
  }
}

TEST(BitSearch, FindsCountsAndReverses) {
  EXPECT_EQ(bfind(0u), 0xffffffffu);
  EXPECT_EQ(bfind(1u), 0u);
  EXPECT_EQ(bfind(0x80000000u), 31u);
  EXPECT_EQ(bfind(int32_t{-1}), 0xffffffffu);
  EXPECT_EQ(bfind(int32_t{-2}), 0u);
  EXPECT_EQ(bfind(uint64_t{1} << 40), 40u);
  EXPECT_EQ(bfind(1u, true), 31u);
  EXPECT_EQ(bfind(int64_t{0xff}, true), 56u);
  EXPECT_EQ(popc(~uint64_t{0}), 64u);
  EXPECT_EQ(clz(0u), 32u);
  EXPECT_EQ(clz(uint64_t{1}), 63u);
  EXPECT_EQ(brev(1u), 0x80000000u);
  EXPECT_EQ(brev(uint64_t{2}), uint64_t{1} << 62);
}

TEST(BitSearch, FindsTheNthSetBit) {
  for (const uint32_t mask : {0u, 1u, 0x80000001u, 0xdeadbeefu, 0xffffffffu}) {
    for (uint32_t base = 0; base < 32; ++base) {
      for (int offset = -33; offset <= 33; ++offset) {
        uint32_t want = 0xffffffffu;
        if (offset == 0) {
          if ((mask >> base & 1) != 0) want = base;
        } else {
          int position = static_cast<int>(base), count = std::abs(offset) - 1;
          for (; position >= 0 && position<32; position += offset> 0 ? 1 : -1) {
            if ((mask >> position & 1) == 0) continue;
            if (count-- == 0) {
              want = static_cast<uint32_t>(position);
              break;
            }
          }
        }
        ASSERT_EQ(fns(mask, base, offset), want) << mask << " " << base << " " << offset;
      }
    }
  }
  EXPECT_EQ(fns(0xffffffffu, 32, 1), 0xffffffffu);
  EXPECT_EQ(fns(0xffffffffu, 31, std::numeric_limits<int32_t>::min()), 0xffffffffu);
}

TEST(DotProducts, MixSignedness) {
  EXPECT_EQ(dp4a(0x01020304u, false, 0x01010101u, false, 100u), 110u);
  EXPECT_EQ(dp4a(0xff000000u, true, 0xff000000u, true, 0u), 1u);
  EXPECT_EQ(dp4a(0xff000000u, false, 0xff000000u, true, 0u), static_cast<uint32_t>(-255));
  EXPECT_EQ(dp4a(0xff000000u, false, 0xff000000u, false, 0u), 65025u);
  EXPECT_EQ(dp2a(0x00020003u, false, 0x04050607u, false, 1u, false), 1u + 3 * 7 + 2 * 6);
  EXPECT_EQ(dp2a(0x00020003u, false, 0x04050607u, false, 1u, true), 1u + 3 * 5 + 2 * 4);
  EXPECT_EQ(dp2a(0xffff0000u, true, 0x0000ff00u, true, 0u, false), 1u);
}

TEST(PairsOf16Bits, WorkOnEachHalf) {
  EXPECT_EQ(add_16x2(0xffff0001u, 0x00010002u), 0x00000003u);
  EXPECT_EQ(min_16x2(0xffff0001u, 0x00010002u, true), 0xffff0001u);
  EXPECT_EQ(min_16x2(0xffff0001u, 0x00010002u, false), 0x00010001u);
  EXPECT_EQ(max_16x2(0xffff0001u, 0x00010002u, true), 0x00010002u);
  EXPECT_EQ(min_16x2(0xffff0001u, 0x00010002u, true, true), 0x00000001u);
  EXPECT_EQ(max_relu(-3, -2), 0);
  EXPECT_EQ(min_relu(3, 2), 2);
}

TEST(Signs, WrapAtTheSmallestInteger) {
  EXPECT_EQ(neg(std::numeric_limits<int32_t>::min()), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(abs(std::numeric_limits<int64_t>::min()), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(abs(int16_t{-5}), 5);
  EXPECT_EQ(min(int32_t{-1}, int32_t{1}), -1);
  EXPECT_EQ(max(0xffffffffu, 1u), 0xffffffffu);
}

}  // namespace
}  // namespace assay::virtual_gpu
