// Clusters of blocks: their barrier, their shared memory, and how they fail.
#include "tests/virtual/rig.h"

namespace assay {
namespace {

using rig::Bench;
using rig::fault_of;
using rig::Pointer;

const char* const kSource = R"(#include <cooperative_groups.h>
#include <cuda/barrier>
namespace cg = cooperative_groups;
extern "C" __global__ void numbers(int* o) {
  auto c = cg::this_cluster();
  int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  if (threadIdx.x != 0) return;
  dim3 id; asm("mov.u32 %0, %%clusterid.x;" : "=r"(id.x)); asm("mov.u32 %0, %%clusterid.y;" : "=r"(id.y));
  unsigned clusters; asm("mov.u32 %0, %%nclusterid.x;" : "=r"(clusters));
  o[block * 4] = c.block_rank() + 100 * c.num_blocks() + 1000 * c.num_threads();
  o[block * 4 + 1] = c.block_index().x + 10 * c.block_index().y + 100 * c.dim_blocks().x + 1000 * c.dim_blocks().y;
  o[block * 4 + 2] = id.x + 10 * id.y + 100 * clusters;
  unsigned given; asm("{ .reg .pred p; mov.pred p, %%is_explicit_cluster; selp.u32 %0, 1, 0, p; }" : "=r"(given));
  o[block * 4 + 3] = given;
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) exchange(int* o) {
  __shared__ int s[32];
  auto c = cg::this_cluster();
  s[threadIdx.x] = blockIdx.x * 100 + threadIdx.x;
  c.sync();
  int* other = c.map_shared_rank(s, c.block_rank() ^ 1);
  o[blockIdx.x * 32 + threadIdx.x] = other[31 - threadIdx.x] + 10000 * c.query_shared_rank(other);
  c.sync();
  atomicAdd(&other[0], 1);
  c.sync();
  if (threadIdx.x == 0) o[128 + blockIdx.x] = s[0];
}
extern "C" __global__ void __cluster_dims__(4, 1, 1) ring(int* o) {
  // Split arrive and wait: every block adds to its neighbour in turn, eight rounds.
  __shared__ int s;
  auto c = cg::this_cluster();
  if (threadIdx.x == 0) s = blockIdx.x;
  for (int round = 0; round < 8; ++round) {
    auto token = c.barrier_arrive();
    c.barrier_wait(std::move(token));
    int* next = c.map_shared_rank(&s, (c.block_rank() + 1) % 4);
    int value = *next;
    c.sync();
    if (threadIdx.x == 0) s = value + 1;
  }
  c.sync();
  if (threadIdx.x == 0) o[blockIdx.x] = s;
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) addressed(int* o) {
  __shared__ int s[4];
  unsigned rank = cg::this_cluster().block_rank();
  unsigned own = (unsigned)__cvta_generic_to_shared(s) + 4 * threadIdx.x, other;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(other) : "r"(own), "r"(rank ^ 1));
  asm volatile("st.shared::cluster.u32 [%0], %1;" :: "r"(other), "r"(rank * 10 + threadIdx.x) : "memory");
  cg::this_cluster().sync();
  int value, sum;
  asm volatile("ld.shared::cluster.s32 %0, [%1];" : "=r"(value) : "r"(own) : "memory");
  cg::this_cluster().sync();
  asm volatile("atom.shared::cluster.add.s32 %0, [%1], 100;" : "=r"(sum) : "r"(other) : "memory");
  cg::this_cluster().sync();
  unsigned own_space, any_space;
  int* generic = cg::this_cluster().map_shared_rank(s, rank ^ 1);
  asm("{ .reg .pred p; isspacep.shared p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(own_space) : "l"(generic));
  asm("{ .reg .pred p; isspacep.shared::cluster p, %1; selp.u32 %0, 1, 0, p; }" : "=r"(any_space) : "l"(generic));
  o[blockIdx.x * 4 + threadIdx.x] = value * 1000 + s[threadIdx.x] + 100000 * own_space + 200000 * any_space;
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) remote_barrier(int* o) {
  __shared__ unsigned long long b;
  __shared__ int s;
  unsigned rank = cg::this_cluster().block_rank();
  unsigned own = (unsigned)__cvta_generic_to_shared(&b), other;
  if (threadIdx.x == 0) { asm volatile("mbarrier.init.shared.b64 [%0], 1;" :: "r"(own)); asm volatile("fence.mbarrier_init.release.cluster;"); }
  cg::this_cluster().sync();
  if (threadIdx.x == 0) {
    *cg::this_cluster().map_shared_rank(&s, rank ^ 1) = 7 + rank;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(other) : "r"(own), "r"(rank ^ 1));
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" :: "r"(other) : "memory");
  }
  asm volatile("{ .reg .pred p;\nW: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], 0;\n@!p bra W; }" :: "r"(own) : "memory");
  o[blockIdx.x * 32 + threadIdx.x] = s;
  cg::this_cluster().sync();
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) sent(int* o) {
  // Each block sends 16 bytes with one instruction and 64 by a bulk copy.
  __shared__ unsigned long long b;
  __shared__ alignas(16) int s[20], t[16];
  unsigned rank = cg::this_cluster().block_rank();
  unsigned own = (unsigned)__cvta_generic_to_shared(&b), own_s = (unsigned)__cvta_generic_to_shared(s), other, other_s;
  if (threadIdx.x < 16) t[threadIdx.x] = rank * 1000 + threadIdx.x;
  if (threadIdx.x == 0) { asm volatile("mbarrier.init.shared.b64 [%0], 1;" :: "r"(own)); asm volatile("fence.mbarrier_init.release.cluster;"); }
  cg::this_cluster().sync();
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(other) : "r"(own), "r"(rank ^ 1));
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(other_s) : "r"(own_s), "r"(rank ^ 1));
  if (threadIdx.x == 0) {
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 80;" :: "r"(own) : "memory");
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.s32 [%0], {%1, %1, 7, 8}, [%2];" :: "r"(other_s), "r"(rank + 5), "r"(other) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], 64, [%2];" :: "r"(other_s + 16), "r"((unsigned)__cvta_generic_to_shared(t)), "r"(other) : "memory");
  }
  asm volatile("{ .reg .pred p;\nW: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], 0;\n@!p bra W; }" :: "r"(own) : "memory");
  if (threadIdx.x < 20) o[blockIdx.x * 20 + threadIdx.x] = s[threadIdx.x];
  cg::this_cluster().sync();
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) left_behind(int* o) {
  __shared__ int s;
  s = 1;
  int* other = cg::this_cluster().map_shared_rank(&s, cg::this_cluster().block_rank() ^ 1);
  cg::this_cluster().sync();
  if (cg::this_cluster().block_rank() == 0) return;
  for (int i = 0; i < 100000; ++i) o[0] += *other;
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) past_the_end(int* o, int i) {
  __shared__ int s[8];
  s[threadIdx.x & 7] = 1;
  int* other = cg::this_cluster().map_shared_rank(s, cg::this_cluster().block_rank() ^ 1);
  cg::this_cluster().sync();
  other[i] = 1;
  cg::this_cluster().sync();
  o[0] = s[0];
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) one_never_comes(int* o) {
  if (cg::this_cluster().block_rank() == 0) cg::this_cluster().sync();
  else if (threadIdx.x < 32) asm volatile("bar.sync 1, 64;");
  else asm volatile("bar.sync 2, 64;");
  o[threadIdx.x] = 1;
}
extern "C" __global__ void __cluster_dims__(2, 1, 1) one_exits(int* o) {
  if (cg::this_cluster().block_rank() == 1 && threadIdx.x > 3) return;
  cg::this_cluster().sync();
  o[blockIdx.x * 32 + threadIdx.x] = 1;
}
)";

class Clusters : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto ptx = rig::compile(kSource);
    if (!ptx) GTEST_SKIP() << "no nvcc on this machine";
    bench = std::make_unique<Bench>(*ptx, 2);
    bench->tensor("o", std::vector<int>(256));
  }
  RunReport run(const char* kernel, uint32_t blocks, uint32_t threads = 32) {
    return bench->launch(kernel, {blocks}, {threads}, Pointer{"o"});
  }
  RunReport with_cluster(const char* kernel, Dim3 grid, Dim3 cluster) {
    Launch launch;
    launch.kernel = kernel;
    launch.grid = grid;
    launch.block = {32};
    launch.cluster = cluster;
    bench->append(launch, Pointer{"o"});
    LaunchPlan plan = bench->plan();
    plan.operations = {{launch, {}, 0}};
    return bench->run_plan(plan);
  }
  std::unique_ptr<Bench> bench;
};

TEST_F(Clusters, NumberTheirBlocks) {
  ASSERT_EQ(fault_of(with_cluster("numbers", {4, 4}, {2, 2, 1})), "");
  auto o = bench->read<int>("o");
  const size_t block = 3 + 4 * 1;  // blockIdx (3,1): cluster (1,0), place (1,1) in it
  EXPECT_EQ(o[block * 4], 3 + 400 + 128000);
  EXPECT_EQ(o[block * 4 + 1], 1 + 10 + 200 + 2000);
  EXPECT_EQ(o[block * 4 + 2], 1 + 0 + 200);
  EXPECT_EQ(o[block * 4 + 3], 1);
  ASSERT_EQ(fault_of(with_cluster("numbers", {4, 4}, {0, 0, 0})), "");
  o = bench->read<int>("o");
  EXPECT_EQ(o[block * 4], 0 + 100 + 32000);
  EXPECT_EQ(o[block * 4 + 2], 3 + 10 + 400);
  EXPECT_EQ(o[block * 4 + 3], 0);
}

TEST_F(Clusters, ReachEachOthersSharedMemory) {
  for (const uint32_t seed : {0u, 1u, 2u, 3u}) {
    bench->options.schedule_seed = seed;
    ASSERT_EQ(fault_of(run("exchange", 4)), "");
    const auto o = bench->read<int>("o");
    for (int block = 0; block < 4; ++block) {
      for (int t = 0; t < 32; ++t) {
        ASSERT_EQ(o[static_cast<size_t>(block * 32 + t)],
                  (block ^ 1) * 100 + 31 - t + 10000 * ((block ^ 1) % 2));
      }
      EXPECT_EQ(o[static_cast<size_t>(128 + block)], block * 100 + 32);
    }
  }
}

TEST_F(Clusters, WaitForAllBlocksInEveryRound) {
  for (const uint32_t seed : {0u, 5u}) {
    bench->options.schedule_seed = seed;
    ASSERT_EQ(fault_of(run("ring", 8, 64)), "");
    const auto o = bench->read<int>("o");
    // After eight rounds a block has its own number again, plus one a round.
    for (size_t block = 0; block < 8; ++block) EXPECT_EQ(o[block], static_cast<int>(block) + 8);
  }
}

TEST_F(Clusters, HaveAddressesOfThirtyTwoBitsToo) {
  ASSERT_EQ(fault_of(run("addressed", 2, 4)), "");
  const auto o = bench->read<int>("o");
  for (int block = 0; block < 2; ++block) {
    for (int t = 0; t < 4; ++t) {
      const int value = (block ^ 1) * 10 + t;
      EXPECT_EQ(o[static_cast<size_t>(block * 4 + t)], value * 1000 + value + 100 + 200000);
    }
  }
}

TEST_F(Clusters, ArriveAtBarriersOfOtherBlocks) {
  ASSERT_EQ(fault_of(run("remote_barrier", 2)), "");
  EXPECT_EQ(bench->read<int>("o")[5], 8);
  EXPECT_EQ(bench->read<int>("o")[37], 7);
}

TEST_F(Clusters, SendAsynchronously) {
  ASSERT_EQ(fault_of(run("sent", 2)), "");
  const auto o = bench->read<int>("o");
  for (int block = 0; block < 2; ++block) {
    const auto at = [&](int i) { return o[static_cast<size_t>(block * 20 + i)]; };
    const int sender = block ^ 1;
    EXPECT_EQ(at(0), sender + 5);
    EXPECT_EQ(at(3), 8);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(at(4 + i), sender * 1000 + i);
  }
}

TEST_F(Clusters, DoNotWaitForThreadsThatExited) {
  ASSERT_EQ(fault_of(run("one_exits", 2)), "");
  EXPECT_EQ(bench->read<int>("o")[31], 1);
  EXPECT_EQ(bench->read<int>("o")[35], 1);
}

TEST_F(Clusters, SharedMemoryOfABlockThatExitedIsGone) {
  const RunReport report = run("left_behind", 2);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::illegal_address);
  EXPECT_NE(fault_of(report).find("block (1,0,0)"), std::string::npos) << fault_of(report);
  EXPECT_NE(fault_of(report).find("the cluster's block 0's shared memory: there is no such block, "
                                  "or it has exited"),
            std::string::npos)
      << fault_of(report);
}

TEST_F(Clusters, SharedMemoryOfOtherBlocksHasBounds) {
  EXPECT_EQ(fault_of(bench->launch("past_the_end", {2}, {32}, Pointer{"o"}, 7)), "");
  const RunReport report = bench->launch("past_the_end", {2}, {32}, Pointer{"o"}, 9);
  // The block that arrives last goes on first.
  EXPECT_NE(fault_of(report).find("writes 4 bytes 4 bytes past the end of the cluster's block 0's "
                                  "shared memory (32 bytes)"),
            std::string::npos)
      << fault_of(report);
}

TEST_F(Clusters, ThatCanNeverMeetAreADeadlock) {
  const RunReport report = run("one_never_comes", 2, 64);
  ASSERT_TRUE(report.fault.has_value());
  EXPECT_EQ(report.fault->kind, Fault::Kind::divergent_barrier);
  EXPECT_NE(fault_of(report).find("the cluster's barrier"), std::string::npos) << fault_of(report);
}

TEST_F(Clusters, MustFitTheGridAndTheDevice) {
  const auto expect_refusal = [&](const RunReport& report, const std::string& text) {
    ASSERT_TRUE(report.fault.has_value());
    EXPECT_EQ(report.fault->kind, Fault::Kind::launch_failed);
    EXPECT_NE(fault_of(report).find(text), std::string::npos) << fault_of(report);
  };
  expect_refusal(run("exchange", 3), "the grid (3,1,1) is not a multiple of the cluster (2,1,1)");
  expect_refusal(with_cluster("numbers", {16}, {16, 1, 1}), "a cluster of (16,1,1) blocks");
  expect_refusal(with_cluster("exchange", {4}, {4, 1, 1}), "but the kernel requires (2,1,1)");
}

}  // namespace
}  // namespace assay
