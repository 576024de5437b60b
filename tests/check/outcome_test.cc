#include "evaluator/outcome.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace assay {
namespace {

TEST(Outcome, NamesLeadBackAndDiffer) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Outcome::harness_error); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    names.insert(name(outcome));
    EXPECT_EQ(outcome_from_name(name(outcome)), outcome) << name(outcome);
  }
  EXPECT_EQ(names.size(), 12u);
  EXPECT_FALSE(outcome_from_name("fine").has_value());
  EXPECT_FALSE(outcome_from_name("").has_value());
}

}  // namespace
}  // namespace assay
