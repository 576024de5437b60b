#include "evaluator/compile/ptx_names.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(PtxNamesTest, ReadsTheHostsRecords) {
  const auto symbols = read_host_symbols(
      "\tmovq\t%rax, %rbx\n\t#assay-kernel _Z1kPf\n.pushsection x\n#assay-variable weights\n");
  EXPECT_EQ(symbols.kernels, std::vector<std::string>{"_Z1kPf"});
  EXPECT_EQ(symbols.variables, std::vector<std::string>{"weights"});
}

TEST(PtxNamesTest, NamesTemplateInstances) {
  EXPECT_EQ(instantiations(
                {"plain", "_Z1kPf", "_Z4fillIfEvPT_S0_", "_ZN12_GLOBAL__N_16hiddenILi32EEEvPf"}),
            (std::vector<std::string>{"fill<float>", "hidden<32>"}));
}

const char* const kPtx =
    ".global .align 4 .u32 _ZN4cuda8constantE = 3;\n"
    ".global .align 4 .u32 used;\n"
    ".global .align 8 .f64 _ZN20_INTERNAL_0000_4_a_b19_GLOBAL__N__0000_ab1vE;\n"
    ".entry _ZN19_GLOBAL__N__0000_ab1kEPf(\n"
    "\t.param .u64 _ZN19_GLOBAL__N__0000_ab1kEPf_param_0\n)\n"
    "{\n\tld.param.u64 %rd1, [_ZN19_GLOBAL__N__0000_ab1kEPf_param_0];\n"
    "\tmov.u64 %rd2, used;\n\tret;\n}\n"
    ".entry _Z1sPf(.param .u64 _Z1sPf_param_0) { ret; }\n";

TEST(PtxNamesTest, GivesInternalSymbolsTheHostsSpelling) {
  const auto matched =
      match_symbols(kPtx, {{"_ZN12_GLOBAL__N_11kEPf", "_ZL1sPf"}, {"_ZN12_GLOBAL__N_11vE"}});
  ASSERT_TRUE(matched.ok()) << matched.error().message;
  EXPECT_NE(matched->find(".entry _ZN12_GLOBAL__N_11kEPf("), std::string::npos);
  EXPECT_NE(matched->find("[_ZN12_GLOBAL__N_11kEPf_param_0]"), std::string::npos);
  EXPECT_NE(matched->find(".entry _ZL1sPf(.param .u64 _ZL1sPf_param_0)"), std::string::npos);
  EXPECT_NE(matched->find(".f64 _ZN12_GLOBAL__N_11vE;"), std::string::npos);
  EXPECT_EQ(matched->find("_GLOBAL__N__0000"), std::string::npos);
}

TEST(PtxNamesTest, DropsConstantsThatHeadersLeftBehind) {
  const auto matched = match_symbols(kPtx, {{"_ZN12_GLOBAL__N_11kEPf", "_ZL1sPf"}, {}});
  ASSERT_TRUE(matched.ok());
  EXPECT_EQ(matched->find("constant"), std::string::npos);
  EXPECT_NE(matched->find(".u32 used;"), std::string::npos);
}

TEST(PtxNamesTest, RefusesHalvesThatDoNotFit) {
  EXPECT_FALSE(match_symbols(kPtx, {{"_ZN12_GLOBAL__N_11kEPf"}, {}}).ok());
  EXPECT_FALSE(match_symbols(kPtx, {{"_ZN12_GLOBAL__N_11kEPf", "_ZL1sPf", "_Z5otherv"}, {}}).ok());
  EXPECT_FALSE(match_symbols(kPtx, {{"_ZN12_GLOBAL__N_11kEPf", "_ZL1sPf"}, {"nowhere"}}).ok());
}

}  // namespace
}  // namespace assay
