// PTX as nobody would write it: the parser and the decoder end with a message, never otherwise.
#include "evaluator/device/virtual/parser.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>

#include "base/files.h"
#include "evaluator/device/virtual/decode.h"
#include "tests/fuzz/ptx_run.h"
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;
using virtual_gpu::parse_ptx;

std::string error_of(const std::string& text) {
  const auto module = parse_ptx(text);
  return module.ok() ? "" : module.error().message;
}

std::string in_kernel(const std::string& body) {
  return std::string(rig::kHeader) + ".visible .entry k(.param .u64 o)\n{\n" + body + "\n}\n";
}

TEST(Parser, NamesTheLineOfWhatItCannotRead) {
  EXPECT_EQ(error_of(in_kernel(".reg .b32 %r<4>;\nadd.s32 %r1, %r2, ];")),
            "PTX line 7: expected an operand, found \"]\"");
  EXPECT_EQ(error_of(in_kernel("@%p1 bra L;")), "PTX line 6: guard %p1 is no predicate register");
  EXPECT_EQ(error_of(".global .align 3 .b8 x[4];"),
            "PTX line 1: an alignment that is no power of two up to 65536");
  EXPECT_EQ(error_of(".strange thing;"), "PTX line 1: directive \".strange\"");
  EXPECT_EQ(error_of("{"), "PTX line 1: expected a directive, found \"{\"");
  EXPECT_NE(error_of(".visible .entry k( .param .u64 o"), "");
}

TEST(Parser, HasLimits) {
  EXPECT_NE(error_of(".global .b8 x[99999999999999999999];"), "");
  EXPECT_NE(error_of(".global .b64 x[4000000000][4000000000];"), "");
  EXPECT_NE(error_of(in_kernel(std::string(100, '{'))), "");
  EXPECT_NE(error_of(in_kernel("add.s32 " + std::string(10000, ',') + ";")), "");
  std::string many = "mov.b64 {";
  for (int i = 0; i < 1000; ++i) many += "_,";
  EXPECT_NE(error_of(in_kernel(many + "_}, 0;")), "");
  EXPECT_NE(error_of(std::string((65 << 20), ' ')), "");
}

TEST(Parser, DeclaredRegistersCostNothing) {
  EXPECT_EQ(error_of(in_kernel(".reg .b64 %r<2000000000>;\nadd.s64 %r1, %r1999999999, 1;\nret;")),
            "");
}

TEST(Parser, SurvivesTextThatWasCutOrChanged) {
  const std::string whole = in_kernel(R"(
.reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %l<8>; .reg .f32 %f<4>;
.shared .align 4 .b8 s[64]; .local .align 8 .b8 depot[16];
.loc 1 4 2, function_name $L__info, inlined_at 1 7 3
ld.param.u64 %l1, [o];
cvta.to.global.u64 %l2, %l1;
mov.u32 %r1, %tid.x;
setp.lt.s32 %p1|%p2, %r1, 7;
@%p1 bra $L1;
{ .reg .b32 t; mov.b64 {t, %r2}, %l1; fma.rn.f32 %f1, %f2, 0f3F800000, %f3; }
ld.global.v2.u32 {%r3, %r4}, [%l2+8];
st.shared.u32 [s+4], %r3;
atom.global.add.u32 %r5, [%l2], -1;
shfl.sync.bfly.b32 %r6|%p3, %r5, 1, 31, -1;
$L1: bar.sync 0;
ts: .branchtargets $L1, $L2;
brx.idx %r1, ts;
$L2: ret;)") + ".global .align 8 .u64 table[2] = {generic(table)+8, 5};\n.file 1 \"a.cu\"\n";
  ASSERT_EQ(error_of(whole), "");
  std::mt19937 random(1);
  const std::string alphabet = "%[]{}(),;.:@!|+-_0123456789abcrstu \n\"<>$";
  for (int round = 0; round < 3000; ++round) {
    std::string text = whole;
    if (round % 3 == 0) text.resize(random() % text.size());
    for (auto k = random() % 5; k > 0 && !text.empty(); --k) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.erase(at, random() % 9);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 30));
          break;
      }
    }
    const auto module = parse_ptx(text);
    if (!module.ok()) {
      EXPECT_FALSE(module.error().message.empty());
      continue;
    }
    virtual_gpu::AddressSpace space;
    virtual_gpu::Symbols symbols;
    symbols.space = &space;
    symbols.variables.assign((*module)->variables.size(), uint64_t{1} << 37);
    for (const auto& function : (*module)->functions) {
      if (function.is_kernel && function.defined) decode(**module, function, symbols);
    }
  }
}

TEST(Parser, InputsOfTheFuzzerEndWithAMessage) {
  size_t inputs = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(ASSAY_SOURCE_DIR "/tests/fuzz/inputs/ptx")) {
    const auto text = read_file(entry.path());
    ASSERT_TRUE(text.ok());
    EXPECT_TRUE(run_any_ptx(*text)) << entry.path();
    ++inputs;
  }
  EXPECT_GE(inputs, 8u);
}

TEST(Parser, WhatIsNotSupportedIsNamedWhenItRuns) {
  const auto explanation = [](const std::string& instruction) {
    Bench bench(
        in_kernel(".reg .pred %p<2>; .reg .b32 %r<8>; .reg .b64 %l<4>; .reg .f32 %f<4>;\n"
                  "ld.param.u64 %l1, [o];\nmov.u32 %r1, 0;\n" +
                  instruction));
    bench.tensor("o", std::vector<int>(64));
    const RunReport report = bench.launch("k", {1}, {1}, Pointer{"o"});
    if (!report.fault || report.fault->kind != Fault::Kind::unsupported) return std::string();
    EXPECT_EQ(report.fault->reason, "unsupported");
    return report.fault->explanation;
  };
  for (const std::string opcode :
       {"cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes",
        "tex.2d.v4.f32.s32", "wgmma.fence.sync.aligned", "add.s32.strange", "multimem.red.f32"}) {
    const std::string operands = opcode.starts_with("cp.") ? " [%r1], [%l1, {%r2, %r3}], [%r1];"
                                 : opcode.starts_with("tex")
                                     ? " {%f0, %f1, %f2, %f3}, [%l1, {%r2, %r3}];"
                                 : opcode.starts_with("add") ? " %r1, %r2, %r3;"
                                                             : ";";
    EXPECT_NE(explanation(opcode + operands).find("\"" + opcode + "\""), std::string::npos)
        << opcode;
  }
  // What does not run does no harm.
  EXPECT_EQ(explanation("@%p1 bra L; bra L; wgmma.fence.sync.aligned; L: ret;"), "");
}

TEST(Parser, AnAtomicNeedsARegisterForItsResult) {
  Bench bench(
      in_kernel(".reg .b64 %l<2>;\nld.param.u64 %l1, [o];\n"
                "atom.global.add.u32 5, [%l1], 1;"));
  bench.tensor("o", std::vector<int>(4));
  const RunReport report = bench.launch("k", {1}, {1}, Pointer{"o"});
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::unsupported);
}

TEST(Parser, ParametersOfFunctionsHaveLimits) {
  std::string text = std::string(rig::kHeader) + ".visible .entry k(.param .u64 o)\n{\n";
  for (int i = 0; i < 70000; ++i) text += fmt::format(".param .align 16 .b8 p{}[65536];\n", i);
  Bench bench(text + "ret;\n}\n");
  bench.tensor("o", std::vector<int>(4));
  const RunReport report = bench.launch("k", {1}, {1}, Pointer{"o"});
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_NE(report.fault->explanation.find("more than 16 MiB of registers"), std::string::npos)
      << report.fault->explanation;
}

TEST(Parser, ScopesHideOuterNames) {
  const std::string ptx = in_kernel(R"(
.reg .b32 %r<4>; .reg .b64 %l<2>;
ld.param.u64 %l1, [o];
mov.u32 %r1, 1;
{ .reg .b32 %r1; mov.u32 %r1, 5; { .reg .b32 %r<3>; mov.u32 %r1, 9; st.global.u32 [%l1], %r1; }
  st.global.u32 [%l1+4], %r1; }
st.global.u32 [%l1+8], %r1;
{ bra DONE; DONE: }
{ bra DONE; st.global.u32 [%l1+8], 77; DONE: mov.u32 %r2, 3; }
st.global.u32 [%l1+12], %r2;
ret;)");
  Bench bench(ptx);
  bench.tensor("o", std::vector<int>(4));
  ASSERT_EQ(fault_of(bench.launch("k", {1}, {1}, Pointer{"o"})), "");
  EXPECT_EQ(bench.read<int>("o"), (std::vector<int>{9, 5, 1, 3}));
}

TEST(Parser, BranchTablesJump) {
  const std::string ptx = in_kernel(R"(
.reg .b32 %r<4>; .reg .b64 %l<4>;
ld.param.u64 %l1, [o];
mov.u32 %r1, %tid.x;
mul.wide.u32 %l2, %r1, 4;
add.s64 %l1, %l1, %l2;
rem.u32 %r2, %r1, 3;
ts: .branchtargets A, B, C;
brx.idx %r2, ts;
A: mov.u32 %r3, 10; bra END;
B: mov.u32 %r3, 20; bra END;
C: mov.u32 %r3, 30;
END: st.global.u32 [%l1], %r3;
ret;)");
  Bench bench(ptx);
  bench.tensor("o", std::vector<int>(64));
  ASSERT_EQ(fault_of(bench.launch("k", {1}, {64}, Pointer{"o"})), "");
  for (int t = 0; t < 64; ++t) {
    ASSERT_EQ(bench.read<int>("o")[static_cast<size_t>(t)], (t % 3 + 1) * 10);
  }
}

TEST(Parser, FallingOffTheEndReturns) {
  Bench bench(in_kernel(".reg .b64 %l<2>;\nld.param.u64 %l1, [o];\nst.global.u32 [%l1], 3;"));
  bench.tensor("o", std::vector<int>(1));
  ASSERT_EQ(fault_of(bench.launch("k", {1}, {1}, Pointer{"o"})), "");
  EXPECT_EQ(bench.read<int>("o")[0], 3);
}

}  // namespace
}  // namespace assay
