// Fake addresses, and what is recognised as a pointer in two recordings.
#include "evaluator/record/unify.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>

#include "evaluator/plan/limits.h"
#include "evaluator/record/address_space.h"

namespace assay::recording {
namespace {

constexpr uint64_t kBases[2] = {kFirstAddress + 0x123456789, kFirstAddress + (kBaseSpan >> 1) + 76};

TEST(AddressSpace, AlignsAllocationsToExactly256Bytes) {
  AddressSpace space(kBases[0]);
  for (int i = 0; i < 100; ++i) {
    const uint64_t address = space.place(1000 + i);
    EXPECT_EQ(address % 512, 256u);
    EXPECT_TRUE(is_fake(address));
  }
}

RC_GTEST_PROP(AddressSpace, PointersOfDifferentMarksDifferInEveryByte, ()) {
  AddressSpace first(kFirstAddress + 2 * *rc::gen::inRange<uint64_t>(0, kBaseSpan / 4));
  AddressSpace second(kFirstAddress + 2 * *rc::gen::inRange<uint64_t>(0, kBaseSpan / 4) + 1);
  for (int i = 0; i < 20; ++i) {
    const auto bytes = *rc::gen::inRange<uint64_t>(0, uint64_t{1} << 34);
    const uint64_t offset = *rc::gen::inRange<uint64_t>(0, bytes + 1);
    const uint64_t difference = (first.place(bytes) + offset) ^ (second.place(bytes) + offset);
    for (int byte = 1; byte <= 5; ++byte) RC_ASSERT((difference >> (8 * byte) & 0xff) != 0);
  }
}

TEST(AddressSpace, FindsAllocationsWithSlackOnBothSides) {
  AddressSpace space(kBases[0]);
  space.place(5000);
  const uint64_t start = space.place(64);
  space.place(0);
  const auto slack = static_cast<uint64_t>(plan_limits::kPointerSlackBytes);
  EXPECT_EQ(space.find(start), (Location{1, 0}));
  EXPECT_EQ(space.find(start + 64), (Location{1, 64}));
  EXPECT_EQ(space.find(start - slack), (Location{1, -plan_limits::kPointerSlackBytes}));
  EXPECT_EQ(space.find(start + 64 + slack), (Location{1, 64 + plan_limits::kPointerSlackBytes}));
  EXPECT_EQ(space.find(start - slack - 1), std::nullopt);
  EXPECT_EQ(space.find(start + 64 + slack + 1), std::nullopt);
  EXPECT_EQ(space.find(0), std::nullopt);
  EXPECT_EQ(space.find(UINT64_MAX), std::nullopt);
}

TEST(AddressSpace, HasNoRoomForSizesThatNoDeviceHas) {
  AddressSpace space(kBases[0]);
  EXPECT_NE(space.place(1 << 20), 0u);
  EXPECT_EQ(space.place(UINT64_MAX), 0u);
  EXPECT_EQ(space.place(uint64_t{1} << 45), 0u);
  EXPECT_EQ(space.find(256), std::nullopt);
}

RC_GTEST_PROP(AddressSpace, FindsEveryAddressItPlaced, ()) {
  AddressSpace space(kBases[*rc::gen::inRange(0, 2)]);
  const auto sizes =
      *rc::gen::container<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(0, uint64_t{1} << 36));
  std::vector<uint64_t> starts;
  for (const uint64_t size : sizes) starts.push_back(space.place(size));
  for (uint32_t i = 0; i < starts.size(); ++i) {
    if (starts[i] == 0) continue;
    const auto offset = *rc::gen::inRange<uint64_t>(0, sizes[i] + 1);
    RC_ASSERT(space.find(starts[i] + offset) ==
              std::optional<Location>(Location{i, static_cast<int64_t>(offset)}));
  }
}

/// A pair of recordings of one launch; `parameters` makes the bytes from the addresses of two
/// buffers of 4000 bytes.
using Parameters = std::function<std::string(uint64_t first, uint64_t second)>;

std::variant<LaunchPlan, Difference> unify_launch(const Parameters& parameters) {
  Recording recordings[2];
  for (int i = 0; i < 2; ++i) {
    recordings[i].base = kBases[i];
    AddressSpace space(kBases[i]);
    LaunchPlan& plan = recordings[i].plan;
    plan.allocations = {{Allocation::Kind::argument, 0, "", 4000},
                        {Allocation::Kind::scratch, 0, "", 4000}};
    const uint64_t first = space.place(4000), second = space.place(4000);
    Launch launch;
    launch.kernel = "k";
    launch.parameters = parameters(first, second);
    plan.operations.push_back({launch, {}, 0});
  }
  return unify(recordings[0], recordings[1]);
}

template <typename T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

Launch launch_of(const std::variant<LaunchPlan, Difference>& unified) {
  if (const auto* difference = std::get_if<Difference>(&unified)) {
    ADD_FAILURE() << difference->explanation;
    return {};
  }
  return std::get<Launch>(std::get<LaunchPlan>(unified).operations.at(0).action);
}

TEST(Unify, FindsPointersAtEveryAlignment) {
  for (size_t shift = 0; shift < 16; ++shift) {
    const Launch launch = launch_of(unify_launch([&](uint64_t first, uint64_t second) {
      return std::string(shift, 'a') + bytes_of(first + 12) + "bc" + bytes_of(second + 4000);
    }));
    EXPECT_EQ(launch.relocations,
              (std::vector<Relocation>{{static_cast<uint32_t>(shift), {0, 12}},
                                       {static_cast<uint32_t>(shift + 10), {1, 4000}}}));
    EXPECT_EQ(launch.parameters,
              std::string(shift, 'a') + std::string(8, '\0') + "bc" + std::string(8, '\0'));
  }
}

TEST(Unify, KeepsNumbersThatOnlyLookLikeAddresses) {
  const uint64_t number = kBases[0] + 0x5000000;
  const Launch launch =
      launch_of(unify_launch([&](uint64_t, uint64_t) { return bytes_of(number); }));
  EXPECT_TRUE(launch.relocations.empty());
  EXPECT_EQ(launch.parameters, bytes_of(number));
}

/// What unify makes of a pointer over whose bytes members were written.
std::string overwritten(const std::vector<size_t>& member_bytes) {
  const Launch launch = launch_of(unify_launch([&](uint64_t first, uint64_t) {
    std::string word = bytes_of(first);
    for (const size_t byte : member_bytes) word[byte] = '\x11';
    return bytes_of(first) + word;
  }));
  EXPECT_EQ(launch.relocations.size(), 1u);
  return launch.parameters.substr(8);
}

TEST(Unify, ClearsRemainsOfPointersBehindMembers) {
  EXPECT_EQ(overwritten({0, 1}), std::string("\x11\x11\0\0\0\0\0\0", 8));
  EXPECT_EQ(overwritten({0, 1, 2, 3}), std::string("\x11\x11\x11\x11\0\0\0\0", 8));
}

TEST(Unify, ClearsRemainsOfPointersBetweenMembers) {
  EXPECT_EQ(overwritten({0, 4, 5, 6, 7}), std::string("\x11\0\0\0\x11\x11\x11\x11", 8));
  EXPECT_EQ(overwritten({0, 1, 4, 5, 6, 7}), std::string("\x11\x11\0\0\x11\x11\x11\x11", 8));
}

TEST(Unify, RefusesPointersThatDifferInTheirOffset) {
  int recording = 0;
  const auto unified = unify_launch([&](uint64_t first, uint64_t) {
    return bytes_of(first + 4 * static_cast<uint64_t>(recording++));
  });
  ASSERT_TRUE(std::holds_alternative<Difference>(unified));
  EXPECT_NE(std::get<Difference>(unified).explanation.find("at byte 0"), std::string::npos);
}

TEST(Unify, RefusesDifferencesInAllocations) {
  Recording one, two;
  one.plan.allocations = {{Allocation::Kind::scratch, 0, "", 16}};
  two.plan.allocations = {{Allocation::Kind::scratch, 0, "", 32}};
  EXPECT_TRUE(std::holds_alternative<Difference>(unify(one, two)));
}

TEST(Unify, ReducesDependenciesToThoseThatCount) {
  Recording one;
  for (uint32_t i = 0; i < 5; ++i) one.plan.operations.push_back({Memset{}, {}, 0});
  one.plan.operations[1].depends_on = {0};
  one.plan.operations[2].depends_on = {0};
  one.plan.operations[3].depends_on = {0, 1, 2};
  one.plan.operations[4].depends_on = {3, 2, 1, 0, 3};
  const auto unified = unify(one, one);
  const auto& operations = std::get<LaunchPlan>(unified).operations;
  EXPECT_EQ(operations[3].depends_on, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(operations[4].depends_on, (std::vector<uint32_t>{3}));
}

RC_GTEST_PROP(Unify, NeverFailsOnForgedRecordings, ()) {
  Recording recordings[2];
  for (Recording& recording : recordings) {
    recording.base = *rc::gen::arbitrary<uint64_t>();
    recording.plan.allocations = {{Allocation::Kind::scratch, 0, "", 1u << 20},
                                  {Allocation::Kind::variable, 0, "v", UINT64_MAX}};
    Launch launch;
    launch.parameters = *rc::gen::container<std::string>(40, rc::gen::arbitrary<char>());
    recording.plan.operations.push_back({launch, *rc::gen::arbitrary<std::vector<uint32_t>>(), 0});
    Copy copy;
    copy.target.allocation = *rc::gen::arbitrary<uint32_t>();
    recording.plan.operations.push_back({copy, {7}, 0});
  }
  recordings[1].plan.operations[1] = recordings[0].plan.operations[1];
  if (*rc::gen::arbitrary<bool>())
    recordings[1].plan.operations[0] = recordings[0].plan.operations[0];
  unify(recordings[0], recordings[1]);
}

}  // namespace
}  // namespace assay::recording
