#include "evaluator/check/explain.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

BoundTensor output() {
  BoundTensor tensor;
  tensor.name = "y";
  tensor.direction = Direction::out;
  tensor.shape = {4, 5, 6};
  tensor.elements = 120;
  tensor.tolerance = {1e-6, 1e-5, std::nullopt};
  return tensor;
}

Comparison one_error(uint64_t index) {
  Comparison comparison;
  comparison.elements = 120;
  comparison.mismatches = 1;
  comparison.first = comparison.worst = ElementError{index, 0.5, 0.25};
  return comparison;
}

TEST(Explain, CoordinatesFollowTheShape) {
  EXPECT_EQ(coordinates(output(), 0), "[0, 0, 0]");
  EXPECT_EQ(coordinates(output(), 6), "[0, 1, 0]");
  EXPECT_EQ(coordinates(output(), 119), "[3, 4, 5]");
  BoundTensor scalar;
  scalar.elements = 1;
  EXPECT_EQ(coordinates(scalar, 0), "[]");
}

TEST(Explain, AMismatchHasCountToleranceAndPlace) {
  EXPECT_EQ(explain_mismatch(output(), one_error(37), "it is so"),
            "output y: 1 of 120 elements are outside the tolerance (allowed: 1e-06 + 1e-05 * "
            "|expected|); first at [1, 1, 1] (absolute error 0.5, relative 0.25); it is so");
}

TEST(Explain, TheWorstElementIsNamedWhereItIsNotTheFirst) {
  Comparison comparison = one_error(3);
  comparison.mismatches = 2;
  comparison.worst = ElementError{119, 1e12, 1e9};
  EXPECT_NE(explain_mismatch(output(), comparison)
                .find("worst at [3, 4, 5] (absolute error above 1e9, relative above 1e9)"),
            std::string::npos);
}

TEST(Explain, AnErrorOfTheWholeNamesItsNorm) {
  Comparison comparison;
  comparison.elements = 120;
  comparison.rel_frobenius = 0.02;
  comparison.frobenius_exceeded = true;
  BoundTensor tensor = output();
  tensor.tolerance.rel_frobenius = 0.01;
  const std::string text = explain_mismatch(tensor, comparison);
  EXPECT_NE(text.find("0.02 in the Frobenius norm, above 0.01"), std::string::npos) << text;
  EXPECT_EQ(explain_difference(tensor, comparison).find("0 of"), std::string::npos);
}

TEST(Explain, RedZonesTellTheSideAndTheBytes) {
  EXPECT_EQ(explain_red_zone({4, 0, "y"}),
            "4 bytes just before y were overwritten: a kernel writes outside its buffer");
  EXPECT_EQ(explain_red_zone({0, 8, "scratch 2"}),
            "8 bytes just after scratch 2 were overwritten: a kernel writes outside its buffer");
  EXPECT_EQ(
      explain_red_zone({4, 8, "y"}),
      "4 bytes just before and 8 bytes just after y were overwritten: a kernel writes outside "
      "its buffer");
}

}  // namespace
}  // namespace assay
