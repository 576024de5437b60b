// Every row of the attack catalogue has a test here, and a line in docs/sandbox.md.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/files.h"

namespace assay::sandbox {
namespace {

std::vector<std::string> rows() {
  std::vector<std::string> rows;
  for (const auto& [letter, last] : {std::pair('A', 70), {'C', 14}, {'G', 28}})
    for (int number = 1; number <= last; ++number)
      rows.push_back(fmt::format("{}{:02}", letter, number));
  return rows;
}

/// Rows whose test lies with the thing that they attack.
const std::set<std::string>& tested_elsewhere() {
  static const std::set<std::string> rows = {
      "A66",  // Isolation.DiesWithItsSupervisor
      "C13",  // tests/record/loading_test.cc, tests/fuzz
  };
  return rows;
}

TEST(Catalogue, HasATestForEveryRow) {
  std::set<std::string> tested = tested_elsewhere();
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    tested.insert(std::string(suite.name()).substr(0, 3));
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const std::string name = suite.GetTestInfo(j)->name();
      tested.insert(name.substr(name.find('/') + 1, 3));
    }
  }
  for (const std::string& row : rows()) {
    if (row[0] == 'C' && !tested.contains("C01")) continue;  // built without the compiler
    EXPECT_TRUE(tested.contains(row)) << row;
  }
}

TEST(Catalogue, IsDescribedRowByRow) {
  const auto page = read_file(ASSAY_SOURCE_DIR "/docs/sandbox.md");
  ASSERT_TRUE(page.ok()) << page.error().message;
  for (const std::string& row : rows())
    EXPECT_NE(page->find("| " + row + " |"), std::string::npos) << row;
}

}  // namespace
}  // namespace assay::sandbox
