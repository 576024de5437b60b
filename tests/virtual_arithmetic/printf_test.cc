#include "evaluator/device/virtual/printf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace assay::virtual_gpu {
namespace {

/// An argument buffer as nvcc lays it out.
class Arguments {
 public:
  template <typename T>
  Arguments& add(T value) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8);
    bytes_.resize((bytes_.size() + sizeof(T) - 1) / sizeof(T) * sizeof(T));
    const auto* raw = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), raw, raw + sizeof(T));
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

std::optional<std::string> read_string(uint64_t address, size_t limit) {
  if (address == 0x1000) return std::string("hello").substr(0, limit);
  if (address == 0x2000) return std::string(std::min<size_t>(limit, 100000), 'x');
  return std::nullopt;
}

std::string text(std::string_view format, const Arguments& arguments = {}, size_t limit = 4096) {
  return format_printf(format, arguments.bytes(), read_string, limit);
}

TEST(Printf, FormatsIntegers) {
  EXPECT_EQ(text("%d %i %u|", Arguments().add(-5).add(7).add(0xffffffffu)), "-5 7 4294967295|");
  EXPECT_EQ(text("%x %X %#x %o", Arguments().add(255).add(255).add(255).add(8)), "ff FF 0xff 10");
  EXPECT_EQ(
      text("[%5d][%-5d][%05d][%+d][% d]", Arguments().add(42).add(42).add(42).add(42).add(42)),
      "[   42][42   ][00042][+42][ 42]");
  EXPECT_EQ(text("%.3d %ld %lld %lu %zu", Arguments()
                                              .add(7)
                                              .add(int64_t{-1} << 40)
                                              .add(int64_t{-2})
                                              .add(~uint64_t{0})
                                              .add(uint64_t{9})),
            "007 -1099511627776 -2 18446744073709551615 9");
  EXPECT_EQ(text("%hd %hhu %llx", Arguments().add(70000).add(257).add(uint64_t{0xabc} << 32)),
            "4464 1 abc00000000");
  EXPECT_EQ(text("%c%c%%", Arguments().add(int{'o'}).add(int{'k'})), "ok%");
}

TEST(Printf, AlignsEightByteArguments) {
  EXPECT_EQ(text("%d %f %d", Arguments().add(1).add(2.5).add(3)), "1 2.500000 3");
}

TEST(Printf, FormatsFloatingPoint) {
  EXPECT_EQ(text("%f %.2f %e %g %G",
                 Arguments().add(1.5).add(3.14159).add(12345.678).add(1e-10).add(1e20)),
            "1.500000 3.14 1.234568e+04 1e-10 1E+20");
  EXPECT_EQ(text("%8.3f|%-8.1f|%+.0f", Arguments().add(3.14159).add(2.0).add(7.0)),
            "   3.142|2.0     |+7");
  EXPECT_EQ(text("%a", Arguments().add(1.0)), "0x1p+0");
  EXPECT_EQ(text("%f %F", Arguments()
                              .add(std::numeric_limits<double>::infinity())
                              .add(-std::numeric_limits<double>::infinity())),
            "inf -INF");
  EXPECT_EQ(text("%.1f", Arguments().add(1e308)).size(), 311u);
  EXPECT_EQ(text("%lf", Arguments().add(0.25)), "0.250000");
}

TEST(Printf, FormatsStringsAndPointers) {
  EXPECT_EQ(text("%s|%8s|%-8s|%.2s", Arguments()
                                         .add(uint64_t{0x1000})
                                         .add(uint64_t{0x1000})
                                         .add(uint64_t{0x1000})
                                         .add(uint64_t{0x1000})),
            "hello|   hello|hello   |he");
  EXPECT_EQ(text("%p", Arguments().add(uint64_t{0x7f00deadbeef})), "0x7f00deadbeef");
  EXPECT_EQ(text("%s", Arguments().add(uint64_t{0})), "(null)");
  EXPECT_EQ(text("%s", Arguments().add(uint64_t{0x3000})), "(unreadable)");
}

TEST(Printf, TakesWidthAndPrecisionFromArguments) {
  EXPECT_EQ(text("[%*d]", Arguments().add(6).add(42)), "[    42]");
  EXPECT_EQ(text("[%*d]", Arguments().add(-6).add(42)), "[42    ]");
  EXPECT_EQ(text("[%.*f]", Arguments().add(1).add(2.25)), "[2.2]");
  EXPECT_EQ(text("[%*.*f]", Arguments().add(8).add(3).add(2.25)), "[   2.250]");
  EXPECT_EQ(text("[%.*d]", Arguments().add(-1).add(2)), "[2]");
}

TEST(Printf, LeavesMalformedConversionsAsWritten) {
  EXPECT_EQ(text("100%"), "100%");
  EXPECT_EQ(text("%q %y"), "%q %y");
  EXPECT_EQ(text("%d"), "%d");
  EXPECT_EQ(text("%d %d", Arguments().add(1)), "1 %d");
  EXPECT_EQ(text("%-08.3"), "%-08.3");
}

TEST(Printf, IgnoresN) {
  EXPECT_EQ(text("a%nb%d", Arguments().add(uint64_t{0x1000}).add(5)), "ab5");
}

TEST(Printf, BoundsEveryOutput) {
  EXPECT_EQ(text("%s%s", Arguments().add(uint64_t{0x2000}).add(uint64_t{0x2000}), 100).size(),
            100u);
  EXPECT_LE(text("%2000000000d", Arguments().add(1)).size(), 1024u);
  EXPECT_LE(text("%.*f", Arguments().add(2000000000).add(1e308)).size(), 4096u);
  EXPECT_EQ(text(std::string(10000, 'y')).size(), 4096u);
  EXPECT_EQ(text("%99999999999999999999d", Arguments().add(1)).size(), 1024u);
}

TEST(Printf, SurvivesHostileFormats) {
  std::mt19937 random(77);
  const std::string alphabet = "%%%%%dixXofFeEgGaAcspn*.-+ #0123456789hlLzjtqZ\x01\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string format;
    for (size_t length = random() % 30; length > 0; --length) {
      format += alphabet[random() % alphabet.size()];
    }
    if (i % 7 == 0) format += '\0';
    Arguments arguments;
    for (size_t count = random() % 6; count > 0; --count) {
      arguments.add(static_cast<uint64_t>(random()) << 32 | random());
    }
    EXPECT_LE(text(format, arguments, 512).size(), 512u);
    EXPECT_LE(printf_argument_bytes(format), 30u * 24);
  }
}

TEST(Printf, KnowsHowManyArgumentBytesAFormatNeeds) {
  EXPECT_EQ(printf_argument_bytes("nothing"), 0u);
  EXPECT_EQ(printf_argument_bytes("%d"), 4u);
  EXPECT_EQ(printf_argument_bytes("%d %f %d"), 20u);
  EXPECT_EQ(printf_argument_bytes("%*.*s %%"), 16u);
}

}  // namespace
}  // namespace assay::virtual_gpu
