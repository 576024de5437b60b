#include <gtest/gtest.h>

#include <set>

#include "tests/virtual_programs/run.h"

namespace assay::virtual_programs {
namespace {

const std::vector<Program>& programs() {
  static const std::vector<Program> all = all_programs();
  return all;
}

TEST(VirtualPrograms, CoverManyInstructionsUnderDistinctNames) {
  std::set<std::string> names;
  for (const Program& program : programs()) {
    EXPECT_TRUE(names.insert(program.name).second) << program.name;
    EXPECT_EQ(program.inputs.size(), size_t{program.lanes} * static_cast<size_t>(program.operands));
    EXPECT_EQ(program.expected.size(),
              size_t{program.lanes} * static_cast<size_t>(program.results));
  }
  EXPECT_GE(programs().size(), 200u);
}

TEST(VirtualPrograms, MismatchesNameTheLaneAndTheOperands) {
  const Program& program = programs().front();
  std::vector<uint64_t> outputs = program.expected;
  EXPECT_EQ(mismatches(program, outputs), "");
  outputs[5] ^= 1;
  EXPECT_NE(mismatches(program, outputs).find("lane 5"), std::string::npos);
}

TEST(VirtualPrograms, GiveTheExpectedResultsOnTheVirtualDevice) {
  const std::unique_ptr<Device> device = make_virtual_device("sm_90", 1);
  for (const Program& program : programs()) {
    // A module each, so that what cannot be loaded is named.
    const std::span<const Program> alone(&program, 1);
    const Result<std::unique_ptr<Module>> module = device->load(artifact_of(alone));
    if (!module.ok()) {
      ADD_FAILURE() << program.name << ": " << module.error().message;
      continue;
    }
    const Result<std::vector<uint64_t>> outputs = run_program(*device, **module, program, 0);
    if (!outputs.ok()) {
      ADD_FAILURE() << program.name << ": " << outputs.error().message;
      continue;
    }
    EXPECT_EQ(mismatches(program, *outputs), "");
  }
}

}  // namespace
}  // namespace assay::virtual_programs
