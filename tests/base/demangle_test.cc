#include "base/demangle.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(Demangle, GivesTheNameOfTheSource) {
  EXPECT_EQ(demangled_name("_Z1kILi4EEvPf"), "void k<4>(float*)");
  EXPECT_EQ(demangled_name("plain"), "plain");
}

/// Substitution number `n` of a symbol: S_, S0_, ..., S9_, SA_, ..., SZ_, S10_, ...
std::string substitution(int n) {
  if (n == 0) return "S_";
  std::string digits;
  for (int rest = n - 1; digits.empty() || rest > 0; rest /= 36)
    digits.insert(digits.begin(), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[rest % 36]);
  return "S" + digits + "_";
}

/// k(F) with F a pointer to a function of two arguments of a type that is made in the same way,
/// `depth` times.
std::string symbol_that_doubles(int depth) {
  std::string type = "PFviiE";
  for (int i = 1; i < depth; ++i) type = "PFv" + type + substitution(2 * i - 1) + "E";
  return "_Z1k" + type;
}

TEST(Demangle, KeepsASymbolThatStandsForAnEndlessText) {
  const std::string bomb = symbol_that_doubles(60);
  EXPECT_EQ(demangled_name(bomb), bomb);
}

TEST(Demangle, KeepsASymbolWhoseTextIsLong) {
  const std::string bomb = symbol_that_doubles(12);
  EXPECT_EQ(demangled_name(bomb), bomb);
  EXPECT_EQ(demangled_name(symbol_that_doubles(2)),
            "k(void (*)(void (*)(int, int), void (*)(int, int)))");
}

}  // namespace
}  // namespace assay
