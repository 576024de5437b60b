#include "evaluator/compile/ptx_header.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

TEST(PtxHeaderTest, ReadsKernelsWithTheirParameterLayouts) {
  const auto header = parse_ptx_header(R"(
.version 9.0
.target sm_90
.address_size 64
// .entry in_a_comment(
.extern .func (.param .b32 result) vprintf(.param .b64 a, .param .b64 b);
.visible .func helper(.param .b64 a) { { } ret; }
.visible .entry first(
	.param .u64 .ptr .global .align 16 first_param_0,
	.param .align 8 .b8 first_param_1[24],
	.param .u8 first_param_2,
	.param .u32 first_param_3
)
.maxntid 16, 8, 2
.minnctapersm 2
{
	.reg .b32 %r<3>;
	{ // call "quoted } brace"
	}
	ret;
}
.weak .entry second()
.reqntid 64
{ ret; }
)");
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->target, "sm_90");
  ASSERT_EQ(header->kernels.size(), 2u);
  const Kernel& first = header->kernels[0];
  EXPECT_EQ(first.name, "first");
  EXPECT_EQ(first.max_threads, 256u);
  ASSERT_EQ(first.parameters.size(), 4u);
  const uint32_t expected[4][3] = {{0, 8, 8}, {8, 24, 8}, {32, 1, 1}, {36, 4, 4}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(first.parameters[i].offset, expected[i][0]) << i;
    EXPECT_EQ(first.parameters[i].bytes, expected[i][1]) << i;
    EXPECT_EQ(first.parameters[i].alignment, expected[i][2]) << i;
  }
  EXPECT_EQ(header->kernels[1].max_threads, 64u);
  EXPECT_TRUE(header->kernels[1].parameters.empty());
}

TEST(PtxHeaderTest, ReadsVariablesOfTheModule) {
  const auto header = parse_ptx_header(R"(
.global .align 4 .b8 table[32] = {1, 2, 0xFF};
.visible .const .align 16 .b8 weights[64];
.global .u64 pointer = generic(table);
.global .attribute(.managed) .u32 shared_with_host;
.global .v4 .f32 quads[2][3];
.extern .shared .align 16 .b8 dynamic[];
.extern .global .u32 elsewhere;
)");
  ASSERT_TRUE(header.ok()) << header.error().message;
  ASSERT_EQ(header->variables.size(), 5u);
  EXPECT_EQ(header->variables[0].name, "table");
  EXPECT_EQ(header->variables[0].bytes, 32u);
  EXPECT_TRUE(header->variables[1].constant);
  EXPECT_EQ(header->variables[2].bytes, 8u);
  EXPECT_EQ(header->variables[3].bytes, 4u);
  EXPECT_EQ(header->variables[4].bytes, 96u);
}

TEST(PtxHeaderTest, RefusesWhatItCannotReadAndNeverCrashes) {
  EXPECT_FALSE(parse_ptx_header(".entry k(.param .q99 x) {}").ok());
  EXPECT_FALSE(parse_ptx_header(".entry k(.param .b8 x[99999999999999999999]) {}").ok());
  EXPECT_FALSE(parse_ptx_header(".entry k(.param .align 0 .b8 x[4]) {}").ok());
  EXPECT_FALSE(parse_ptx_header(".entry k(.param .b8 x[2000000]) {}").ok());
  EXPECT_FALSE(parse_ptx_header(".entry k(garbage").ok());
  const std::string whole =
      ".visible .entry k(.param .u64 a, .param .align 4 .b8 b[12])\n"
      ".maxntid 4, 4\n{ ret; }\n.global .u32 x[4] = {1, 2};\n";
  for (size_t length = 0; length < whole.size(); ++length)
    (void)parse_ptx_header(whole.substr(0, length));
}

TEST(PtxHeaderTest, CountsStaticSharedMemory) {
  const auto header = parse_ptx_header(R"(
.shared .align 16 .b8 common[1024];
.extern .shared .align 16 .b8 dynamic[];
.visible .entry own() { .shared .align 4 .b8 tile[100]; .shared .align 8 .f64 sums[4];
  st.shared.u32 [tile], 1; { .shared .b8 inner; } ret; }
.visible .entry both() { .shared .align 4 .b8 tile[8]; mov.u32 %r1, common; mov.u32 %r2, common;
  mov.u32 %r3, dynamic; ret; }
.visible .entry none() { .shared nonsense; ret; }
)");
  ASSERT_TRUE(header.ok()) << header.error().message;
  ASSERT_EQ(header->kernels.size(), 3u);
  EXPECT_EQ(header->kernels[0].static_shared_bytes, 104u + 32u + 1u);
  EXPECT_EQ(header->kernels[1].static_shared_bytes, 16u + 1024u);
  EXPECT_EQ(header->kernels[2].static_shared_bytes, 0u);
}

TEST(PtxHeaderTest, AddsWhatPtxasSaysToTheRightKernel) {
  std::vector<Kernel> kernels(2);
  kernels[0].name = "one";
  kernels[1].name = "two";
  add_resource_usage(
      "ptxas info    : 24 bytes gmem\n"
      "ptxas info    : Compiling entry function 'one' for 'sm_90'\n"
      "ptxas info    : Function properties for one\n"
      "    400 bytes stack frame, 396 bytes spill stores, 404 bytes spill loads\n"
      "ptxas info    : Used 255 registers, used 1 barriers, 400 bytes cumulative stack size, 8192 "
      "bytes smem\n"
      "ptxas info    : Function properties for helper\n"
      "    16 bytes stack frame, 1 bytes spill stores, 2 bytes spill loads\n"
      "ptxas info    : Compiling entry function 'two' for 'sm_90'\n"
      "ptxas info    : Used 24 registers\n",
      kernels);
  EXPECT_EQ(kernels[0].registers, 255u);
  EXPECT_EQ(kernels[0].stack_bytes, 400u);
  EXPECT_EQ(kernels[0].spill_store_bytes, 396u);
  EXPECT_EQ(kernels[0].spill_load_bytes, 404u);
  EXPECT_EQ(kernels[0].static_shared_bytes, 8192u);
  EXPECT_EQ(kernels[1].registers, 24u);
  EXPECT_EQ(kernels[1].stack_bytes, 0u);
}

}  // namespace
}  // namespace assay
