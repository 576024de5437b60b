// Theory of operation
//
// The launcher sees fake device addresses. Both recordings number their allocations alike, so an
// 8-byte word that is the address of allocation n plus offset o in the first recording, and of the
// same n and o in the second, is a pointer: no number that the candidate computed from anything
// else moves with both bases. It becomes a relocation. Everything else must be equal in both.
//
// One kind of difference is nobody's intention: bytes that the candidate never set, such as the
// padding after a pointer and an int in a structure passed by value, hold what lay in that place of
// the stack before. The recorder starts solve() on a stack of zeros, and remains of the fake
// pointers themselves are recognised by their high bytes and set to zero.
#include "evaluator/record/unify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "evaluator/plan/limits.h"
#include "evaluator/record/address_space.h"
#include "evaluator/record/tensor_map_blob.h"

namespace assay::recording {

namespace {

constexpr size_t kPointerBytes = 8;

uint64_t word_at(std::string_view bytes, size_t offset) {
  uint64_t word;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

AddressSpace addresses_of(const Recording& recording) {
  AddressSpace addresses(recording.base);
  for (const Allocation& allocation : recording.plan.allocations) addresses.place(allocation.bytes);
  return addresses;
}

/// A stretch of bytes that two recordings hold, and how their pointers are told from data.
class BytePair {
 public:
  BytePair(const AddressSpace& first_space, const AddressSpace& second_space,
           std::string_view first, std::string_view second)
      : first_space_(first_space),
        second_space_(second_space),
        first_(first),
        second_(second),
        covered_(first.size(), false) {}

  /// Takes out tensor maps, then pointers, then remains of pointers in padding. False where bytes
  /// still differ; `bad_offset()` says where.
  bool resolve() {
    find_tensor_maps();
    // Pointers are nearly always aligned; looking there first keeps a chance match at an odd
    // offset from hiding one.
    for (size_t offset = 0; offset + kPointerBytes <= first_.size(); offset += kPointerBytes)
      take_pointer(offset);
    for (size_t offset = 0; offset < first_.size(); ++offset) {
      if (covered_[offset] || first_[offset] == second_[offset]) continue;
      if (take_pointer_around(offset) || take_padding(offset)) continue;
      bad_offset_ = offset;
      return false;
    }
    std::sort(relocations_.begin(), relocations_.end(),
              [](const Relocation& a, const Relocation& b) { return a.offset < b.offset; });
    return true;
  }

  size_t bad_offset() const { return bad_offset_; }

  /// The bytes with zeros wherever something was taken out.
  std::string remaining() const {
    std::string bytes(first_);
    for (size_t i = 0; i < bytes.size(); ++i)
      if (covered_[i]) bytes[i] = '\0';
    return bytes;
  }

  const std::vector<Relocation>& relocations() const { return relocations_; }
  const std::vector<TensorMap>& tensor_maps() const { return tensor_maps_; }

 private:
  bool is_free(size_t offset, size_t count) const {
    return std::none_of(covered_.begin() + static_cast<ptrdiff_t>(offset),
                        covered_.begin() + static_cast<ptrdiff_t>(offset + count),
                        [](bool covered) { return covered; });
  }

  void cover(size_t offset, size_t count) {
    std::fill_n(covered_.begin() + static_cast<ptrdiff_t>(offset), count, true);
  }

  std::optional<Location> pointer(uint64_t first, uint64_t second) const {
    const auto location = first_space_.find(first);
    if (!location || location != second_space_.find(second)) return std::nullopt;
    return location;
  }

  bool take_pointer(size_t offset) {
    if (!is_free(offset, kPointerBytes)) return false;
    const auto location = pointer(word_at(first_, offset), word_at(second_, offset));
    if (!location) return false;
    relocations_.push_back({static_cast<uint32_t>(offset), *location});
    cover(offset, kPointerBytes);
    return true;
  }

  /// A pointer at any alignment that holds the differing byte: 4-byte aligned places first.
  bool take_pointer_around(size_t offset) {
    const size_t lowest = offset >= kPointerBytes - 1 ? offset - (kPointerBytes - 1) : 0;
    for (const size_t alignment : {size_t{4}, size_t{1}})
      for (size_t start = lowest; start <= offset; ++start)
        if (start % alignment == 0 && start + kPointerBytes <= first_.size() && take_pointer(start))
          return true;
    return false;
  }

  /// Bytes that the candidate never set can hold what is left of a pointer that lay there before:
  /// after a shorter member of an aligned word, up to its end or up to the next member. Kernels
  /// cannot depend on them, so they become zero.
  bool take_padding(size_t offset) {
    const size_t word = offset / kPointerBytes * kPointerBytes;
    if (word + kPointerBytes > first_.size() || offset == word) return false;
    const size_t begin = offset - word;
    size_t end = begin;
    while (end < kPointerBytes && !covered_[word + end] &&
           first_[word + end] != second_[word + end])
      ++end;
    const uint64_t first = word_at(first_, word);
    const uint64_t second = word_at(second_, word);
    const bool to_the_end = is_free(word + begin, kPointerBytes - begin);
    for (uint32_t number = 0; number < first_space_.size(); ++number) {
      const auto shift = static_cast<unsigned>(begin * 8);
      if (to_the_end && first_space_.has_high_part(number, first >> shift, shift) &&
          second_space_.has_high_part(number, second >> shift, shift)) {
        cover(word + begin, kPointerBytes - begin);
        return true;
      }
      const uint64_t mask = ((uint64_t{1} << 8 * (end - begin)) - 1) << shift;
      if (((first ^ first_space_.start(number)) & mask) == 0 &&
          ((second ^ second_space_.start(number)) & mask) == 0) {
        cover(word + begin, end - begin);
        return true;
      }
    }
    return false;
  }

  void find_tensor_maps() {
    for (size_t offset = 0; offset + plan_limits::kTensorMapBytes <= first_.size();
         offset += plan_limits::kTensorMapAlignment) {
      if (!is_free(offset, plan_limits::kTensorMapBytes)) continue;
      auto first = tensor_map_blob(first_.substr(offset));
      auto second = tensor_map_blob(second_.substr(offset));
      if (!first || !second) continue;
      const auto base = pointer(first->address, second->address);
      first->address = second->address = 0;
      if (!base || std::memcmp(&*first, &*second, sizeof *first) != 0) continue;
      tensor_maps_.push_back(unpack(*first, static_cast<uint32_t>(offset), *base));
      cover(offset, plan_limits::kTensorMapBytes);
    }
  }

  static TensorMap unpack(const TensorMapBlob& blob, uint32_t offset, const Location& base) {
    TensorMap map;
    map.offset = offset;
    map.base = base;
    map.data_type = blob.data_type;
    map.rank = blob.rank;
    for (uint32_t i = 0; i < blob.rank; ++i) {
      map.dimensions[i] = uint64_t{blob.dimensions_less_one[i]} + 1;
      map.box[i] = blob.box[i];
      map.element_strides[i] = blob.element_strides[i];
      if (i + 1 < blob.rank) map.strides_bytes[i] = blob.strides_bytes[i];
    }
    map.interleave = blob.interleave;
    map.swizzle = blob.swizzle;
    map.l2_promotion = blob.l2_promotion;
    map.oob_fill = blob.oob_fill;
    return map;
  }

  const AddressSpace& first_space_;
  const AddressSpace& second_space_;
  std::string_view first_;
  std::string_view second_;
  std::vector<bool> covered_;
  std::vector<Relocation> relocations_;
  std::vector<TensorMap> tensor_maps_;
  size_t bad_offset_ = 0;
};

std::string text(const Dim3& dim) { return fmt::format("({}, {}, {})", dim.x, dim.y, dim.z); }

class Unifier {
 public:
  Unifier(const Recording& first, const Recording& second)
      : first_(first),
        second_(second),
        first_space_(addresses_of(first)),
        second_space_(addresses_of(second)) {}

  std::variant<LaunchPlan, Difference> run() {
    if (!compare_outlines()) return difference();
    result_ = first_.plan;
    for (number_ = 0; number_ < result_.operations.size(); ++number_)
      if (!unify_operation()) return difference();
    reduce_dependencies();
    settle_programmatic();
    drop_unused_variables();
    return std::move(result_);
  }

 private:
  Difference difference() const {
    return {
        "launches depend on addresses, time or randomness: solve() was recorded twice, with "
        "different device addresses, and " +
        difference_};
  }

  bool differ(std::string what) {
    difference_ = std::move(what);
    return false;
  }

  bool compare_outlines() {
    if (first_.plan.allocations != second_.plan.allocations)
      return differ("its allocations differed");
    const size_t first = first_.plan.operations.size();
    const size_t second = second_.plan.operations.size();
    if (first != second)
      return differ(
          fmt::format("it asked for {} operations once and for {} the other time", first, second));
    return true;
  }

  bool unify_operation() {
    Operation& operation = result_.operations[number_];
    const Operation& other = second_.plan.operations[number_];
    if (operation.action.index() != other.action.index())
      return differ(fmt::format("operation {} was of another kind", number_));
    if (operation.stream != other.stream || operation.depends_on != other.depends_on)
      return differ(fmt::format("operation {} was ordered differently", number_));
    if (auto* launch = std::get_if<Launch>(&operation.action))
      return unify_launch(*launch, std::get<Launch>(other.action));
    if (auto* copy = std::get_if<Copy>(&operation.action))
      return unify_copy(*copy, std::get<Copy>(other.action));
    if (operation.action != other.action)
      return differ(fmt::format("operation {} differed", number_));
    return true;
  }

  bool unify_launch(Launch& launch, const Launch& other) {
    const std::string where =
        fmt::format("operation {}, the launch of {}, ", number_, launch.kernel);
    if (launch.kernel != other.kernel) return differ(where + "launched " + other.kernel);
    if (launch.grid != other.grid)
      return differ(where + "had the grid " + text(launch.grid) + " and " + text(other.grid));
    if (launch.block != other.block)
      return differ(where + "had the block " + text(launch.block) + " and " + text(other.block));
    const auto attributes = [](const Launch& one) {
      return std::tuple(one.dynamic_shared_bytes, one.cluster.x, one.cluster.y, one.cluster.z,
                        one.cooperative, one.programmatic);
    };
    if (attributes(launch) != attributes(other) ||
        launch.parameters.size() != other.parameters.size())
      return differ(where + "had different attributes or shared memory");
    BytePair pair(first_space_, second_space_, launch.parameters, other.parameters);
    if (!pair.resolve())
      return differ(where + fmt::format("had different arguments at byte {} of its parameters",
                                        pair.bad_offset()));
    launch.parameters = pair.remaining();
    launch.relocations = pair.relocations();
    launch.tensor_maps = pair.tensor_maps();
    return true;
  }

  bool unify_copy(Copy& copy, const Copy& other) {
    const auto shape = [](const Copy& one) {
      return std::tuple(one.target.allocation, one.target.offset, one.source.allocation,
                        one.source.offset, one.literal.size(), one.width_bytes, one.height,
                        one.target_pitch_bytes, one.source_pitch_bytes);
    };
    if (shape(copy) != shape(other))
      return differ(fmt::format("operation {}, a copy, differed", number_));
    BytePair pair(first_space_, second_space_, copy.literal, other.literal);
    if (!pair.resolve())
      return differ(fmt::format("operation {}, a copy from the host, differed at byte {}", number_,
                                pair.bad_offset()));
    copy.literal = pair.remaining();
    if (!pair.relocations().empty() || !pair.tensor_maps().empty())
      return differ(fmt::format(
          "operation {} copies device pointers or tensor maps from host memory to the device: pass "
          "them as kernel parameters instead, in a structure by value if there are many",
          number_));
    return true;
  }

  /// Keeps of every operation's dependencies those that no other of them already waits for.
  void reduce_dependencies() {
    const size_t count = result_.operations.size();
    const size_t words = (count + 63) / 64;
    std::vector<uint64_t> reached(count * words);  // row: the operations that one comes after
    for (size_t i = 0; i < count; ++i) {
      uint64_t* row = &reached[i * words];
      std::vector<uint32_t>& dependencies = result_.operations[i].depends_on;
      std::sort(dependencies.rbegin(), dependencies.rend());
      std::vector<uint32_t> kept;
      for (const uint32_t dependency : dependencies) {
        if (dependency >= i) continue;  // only a forged recording has these
        if ((row[dependency / 64] >> (dependency % 64) & 1) != 0) continue;
        kept.push_back(dependency);
        row[dependency / 64] |= uint64_t{1} << (dependency % 64);
        for (size_t w = 0; w <= dependency / 64; ++w) row[w] |= reached[dependency * words + w];
      }
      std::sort(kept.begin(), kept.end());
      dependencies = std::move(kept);
    }
  }

  /// A programmatic dependent launch needs a kernel of its stream directly before it; elsewhere
  /// the attribute has no effect.
  void settle_programmatic() {
    for (Operation& operation : result_.operations) {
      auto* launch = std::get_if<Launch>(&operation.action);
      if (launch == nullptr || !launch->programmatic) continue;
      const auto* before =
          operation.depends_on.size() == 1 ? &result_.operations[operation.depends_on[0]] : nullptr;
      launch->programmatic = before != nullptr && before->stream == operation.stream &&
                             std::holds_alternative<Launch>(before->action);
    }
  }

  template <typename Visit>
  void visit_locations(const Visit& visit) {
    for (Operation& operation : result_.operations) {
      if (auto* launch = std::get_if<Launch>(&operation.action)) {
        for (Relocation& relocation : launch->relocations) visit(relocation.target);
        for (TensorMap& map : launch->tensor_maps) visit(map.base);
      } else if (auto* memset = std::get_if<Memset>(&operation.action)) {
        visit(memset->target);
      } else if (auto* copy = std::get_if<Copy>(&operation.action)) {
        visit(copy->target);
        if (copy->literal.empty()) visit(copy->source);
      } else if (auto* elements = std::get_if<ElementCopy>(&operation.action)) {
        visit(elements->target);
        visit(elements->source);
      }
    }
  }

  void drop_unused_variables() {
    const size_t count = result_.allocations.size();
    std::vector<bool> used(count);
    for (size_t i = 0; i < count; ++i)
      used[i] = result_.allocations[i].kind != Allocation::Kind::variable;
    visit_locations([&](Location& location) {
      if (location.allocation < count) used[location.allocation] = true;
    });
    std::vector<uint32_t> renumbered(count);
    std::vector<Allocation> kept;
    for (size_t i = 0; i < count; ++i) {
      renumbered[i] = static_cast<uint32_t>(kept.size());
      if (used[i]) kept.push_back(result_.allocations[i]);
    }
    visit_locations([&](Location& location) {
      if (location.allocation < count) location.allocation = renumbered[location.allocation];
    });
    result_.allocations = std::move(kept);
  }

  const Recording& first_;
  const Recording& second_;
  const AddressSpace first_space_;
  const AddressSpace second_space_;
  LaunchPlan result_;
  size_t number_ = 0;
  std::string difference_;
};

}  // namespace

std::variant<LaunchPlan, Difference> unify(const Recording& first, const Recording& second) {
  return Unifier(first, second).run();
}

}  // namespace assay::recording
