// A plan against the artifact, the case and the device. What passes here can be replayed without
// further checks: every number points at something that exists and every byte range lies inside
// its allocation. The first problem found is reported, in words for the candidate's author.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "evaluator/device/occupancy.h"
#include "evaluator/plan/limits.h"
#include "evaluator/plan/plan.h"
#include "evaluator/plan/saturating.h"

namespace assay {

namespace {

namespace limits = plan_limits;
using Problem = std::optional<PlanProblem>;

#define RETURN_IF_PROBLEM(expression)                     \
  do {                                                    \
    if (Problem problem_ = (expression)) return problem_; \
  } while (false)

Problem problem(std::string reason, std::string explanation) {
  return PlanProblem{false, std::move(reason), std::move(explanation)};
}
Problem bad_plan(std::string explanation) { return problem("bad_plan", std::move(explanation)); }
Problem launch_limit(std::string explanation) {
  return PlanProblem{true, "launch_limits", std::move(explanation)};
}

std::string text(const Dim3& dim) { return fmt::format("({}, {}, {})", dim.x, dim.y, dim.z); }

std::string gibibytes(uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
}

/// count() of three untrusted numbers.
uint64_t volume(const Dim3& dim) { return saturating::multiply(uint64_t{dim.x} * dim.y, dim.z); }

/// The bytes of an element of a CUtensorMapDataType; 0 for the packed sub-byte types and unknown
/// ones.
uint32_t element_bytes(uint32_t data_type) {
  constexpr uint32_t kBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  return data_type < std::size(kBytes) ? kBytes[data_type] : 0;
}

class Validator {
 public:
  Validator(const LaunchPlan& plan, const Artifact& artifact, const BoundCase& bound,
            const DeviceInfo& device)
      : plan_(plan), artifact_(artifact), bound_(bound), device_(device) {}

  Problem run() {
    RETURN_IF_PROBLEM(check_counts());
    RETURN_IF_PROBLEM(check_allocations());
    RETURN_IF_PROBLEM(check_memory());
    for (number_ = 0; number_ < plan_.operations.size(); ++number_) {
      const Operation& operation = plan_.operations[number_];
      RETURN_IF_PROBLEM(check_dependencies(operation));
      RETURN_IF_PROBLEM(
          std::visit([this](const auto& action) { return check(action); }, operation.action));
    }
    return std::nullopt;
  }

 private:
  Problem check_counts() const {
    if (plan_.operations.size() > limits::kOperations)
      return problem("plan_limits",
                     fmt::format("solve() asked for {} operations; at most {} are allowed",
                                 plan_.operations.size(), limits::kOperations));
    if (plan_.allocations.size() > limits::kAllocations)
      return problem("plan_limits", fmt::format("{} allocations; at most {} are allowed",
                                                plan_.allocations.size(), limits::kAllocations));
    return std::nullopt;
  }

  Problem check_allocations() const {
    std::set<uint32_t> arguments;
    std::set<std::string> variables;
    for (const Allocation& allocation : plan_.allocations) {
      if (allocation.kind == Allocation::Kind::argument) {
        if (allocation.index >= bound_.tensors.size() || !arguments.insert(allocation.index).second)
          return bad_plan(
              fmt::format("an allocation stands for argument {}, which does not exist "
                          "or was named before",
                          allocation.index));
        if (allocation.bytes != bound_.tensors[allocation.index].bytes())
          return bad_plan(fmt::format("tensor {} has {} bytes, not {}",
                                      bound_.tensors[allocation.index].name,
                                      bound_.tensors[allocation.index].bytes(), allocation.bytes));
      } else if (allocation.kind == Allocation::Kind::variable) {
        const auto found = std::find_if(
            artifact_.variables.begin(), artifact_.variables.end(),
            [&](const ModuleVariable& variable) { return variable.name == allocation.name; });
        if (found == artifact_.variables.end() || found->bytes != allocation.bytes ||
            !variables.insert(allocation.name).second)
          return bad_plan(
              fmt::format("the compiled device code has no variable '{}' of {} bytes, "
                          "or the plan names it twice",
                          allocation.name, allocation.bytes));
      }
    }
    return std::nullopt;
  }

  Problem check_memory() const {
    uint64_t tensors = 0;
    for (const BoundTensor& tensor : bound_.tensors) tensors += tensor.bytes();
    uint64_t scratch = 0;
    for (const Allocation& allocation : plan_.allocations) {
      if (allocation.kind != Allocation::Kind::scratch) continue;
      if (allocation.bytes > limits::kAllocationBytes) scratch = limits::kAllocationBytes;
      scratch = std::min(scratch + allocation.bytes, limits::kAllocationBytes);
    }
    const uint64_t memory = device_.global_memory_bytes;
    if (scratch > memory || tensors > memory - scratch)
      return problem(
          "scratch_limit",
          fmt::format("solve() allocates {} of scratch memory beside {} of tensors, "
                      "but {} has {}",
                      gibibytes(scratch), gibibytes(tensors), device_.name, gibibytes(memory)));
    return std::nullopt;
  }

  Problem check_dependencies(const Operation& operation) const {
    for (const uint32_t dependency : operation.depends_on)
      if (dependency >= number_)
        return bad_plan(fmt::format("operation {} waits for operation {}, which is not earlier",
                                    number_, dependency));
    return std::nullopt;
  }

  // ---- launches

  Problem check(const Launch& launch) const {
    const Kernel* kernel = artifact_.find_kernel(launch.kernel);
    if (kernel == nullptr)
      return bad_plan(
          fmt::format("operation {} launches '{}', which is not a kernel of the "
                      "compiled candidate",
                      number_, launch.kernel));
    RETURN_IF_PROBLEM(check_parameters(launch, *kernel));
    RETURN_IF_PROBLEM(check_shape(launch, *kernel));
    RETURN_IF_PROBLEM(check_shared(launch, *kernel));
    RETURN_IF_PROBLEM(check_cluster(launch, *kernel));
    return check_cooperation(launch, *kernel);
  }

  std::string where(const Kernel& kernel) const {
    return fmt::format("launch of {} (operation {})",
                       kernel.demangled.empty() ? kernel.name : kernel.demangled, number_);
  }

  Problem check_parameters(const Launch& launch, const Kernel& kernel) const {
    uint64_t bytes = 0;
    for (const KernelParameter& parameter : kernel.parameters)
      bytes = std::max(bytes, uint64_t{parameter.offset} + parameter.bytes);
    if (launch.parameters.size() != bytes)
      return bad_plan(fmt::format("{}: {} bytes of parameters, the kernel takes {}", where(kernel),
                                  launch.parameters.size(), bytes));
    uint64_t free_from = 0;
    for (const Relocation& relocation : launch.relocations) {
      if (relocation.offset < free_from || uint64_t{relocation.offset} + 8 > bytes)
        return bad_plan(
            fmt::format("{}: a relocation at byte {} overlaps another or lies outside "
                        "the parameters",
                        where(kernel), relocation.offset));
      free_from = uint64_t{relocation.offset} + 8;
      RETURN_IF_PROBLEM(check_pointer(relocation.target, kernel));
    }
    free_from = 0;
    for (const TensorMap& map : launch.tensor_maps) {
      if (map.offset < free_from || map.offset % limits::kTensorMapAlignment != 0 ||
          uint64_t{map.offset} + limits::kTensorMapBytes > bytes)
        return bad_plan(
            fmt::format("{}: a tensor map at byte {} overlaps another, is not 64-byte "
                        "aligned or lies outside the parameters",
                        where(kernel), map.offset));
      free_from = uint64_t{map.offset} + limits::kTensorMapBytes;
      for (const Relocation& relocation : launch.relocations)
        if (relocation.offset + 8 > map.offset && relocation.offset < free_from)
          return bad_plan(where(kernel) + ": a relocation lies inside a tensor map");
      RETURN_IF_PROBLEM(check_tensor_map(map, kernel));
    }
    return std::nullopt;
  }

  Problem check_pointer(const Location& target, const Kernel& kernel) const {
    if (target.allocation >= plan_.allocations.size())
      return bad_plan(fmt::format("{}: a pointer to allocation {}, which does not exist",
                                  where(kernel), target.allocation));
    const Allocation& allocation = plan_.allocations[target.allocation];
    if (target.offset < -limits::kPointerSlackBytes ||
        target.offset > static_cast<int64_t>(allocation.bytes) + limits::kPointerSlackBytes)
      return problem("invalid_argument",
                     fmt::format("{}: a pointer lies {} bytes from the start of {}, far outside it",
                                 where(kernel), target.offset, describe(target.allocation)));
    return std::nullopt;
  }

  Problem check_tensor_map(const TensorMap& map, const Kernel& kernel) const {
    if (device_.compute_major < 9)
      return launch_limit(fmt::format("{}: tensor maps need sm_90 or later, the target is {}",
                                      where(kernel), device_.arch()));
    const uint64_t element = element_bytes(map.data_type);
    if (element == 0 || map.rank < 1 || map.rank > 5)
      return bad_plan(where(kernel) + ": a tensor map of an unknown type or rank");
    if (map.base.allocation >= plan_.allocations.size() || map.base.offset < 0)
      return bad_plan(where(kernel) + ": a tensor map whose base is in no allocation");
    uint64_t end = saturating::add(element, static_cast<uint64_t>(map.base.offset));
    for (uint32_t i = 0; i < map.rank; ++i) {
      if (map.dimensions[i] == 0)
        return problem("invalid_argument",
                       where(kernel) + ": a tensor map with an empty dimension");
      const uint64_t stride = i == 0 ? element : map.strides_bytes[i - 1];
      end = saturating::add(end, saturating::multiply(map.dimensions[i] - 1, stride));
    }
    if (end > plan_.allocations[map.base.allocation].bytes)
      return problem("invalid_argument", fmt::format("{}: a tensor map reaches past the end of {}",
                                                     where(kernel), describe(map.base.allocation)));
    return std::nullopt;
  }

  Problem check_shape(const Launch& launch, const Kernel& kernel) const {
    const uint32_t grid[] = {launch.grid.x, launch.grid.y, launch.grid.z};
    const uint32_t block[] = {launch.block.x, launch.block.y, launch.block.z};
    for (int axis = 0; axis < 3; ++axis) {
      if (grid[axis] == 0 || grid[axis] > device_.max_grid[axis])
        return launch_limit(
            fmt::format("{}: the grid {} is outside the device's limits: 1 to {} blocks in {}",
                        where(kernel), text(launch.grid), device_.max_grid[axis], "xyz"[axis]));
      if (block[axis] == 0 || block[axis] > device_.max_block[axis])
        return launch_limit(
            fmt::format("{}: the block {} is outside the device's limits: 1 to {} threads in {}",
                        where(kernel), text(launch.block), device_.max_block[axis], "xyz"[axis]));
    }
    const uint64_t threads = volume(launch.block);
    if (threads > device_.max_threads_per_block)
      return launch_limit(fmt::format("{}: the block {} has {} threads, the device allows {}",
                                      where(kernel), text(launch.block), threads,
                                      device_.max_threads_per_block));
    if (kernel.max_threads != 0 && threads > kernel.max_threads)
      return launch_limit(
          fmt::format("{}: the block has {} threads, but the kernel's "
                      "__launch_bounds__ promise at most {}",
                      where(kernel), threads, kernel.max_threads));
    if (threads > max_threads(device_, kernel.registers))
      return launch_limit(
          fmt::format("{}: {} threads with {} registers each need more than the {} registers a "
                      "block can have; use smaller blocks or __launch_bounds__",
                      where(kernel), threads, kernel.registers, device_.registers_per_block));
    return std::nullopt;
  }

  Problem check_shared(const Launch& launch, const Kernel& kernel) const {
    const uint64_t bytes = uint64_t{kernel.static_shared_bytes} + launch.dynamic_shared_bytes;
    if (bytes > device_.shared_per_block_optin_bytes)
      return launch_limit(
          fmt::format("{}: {} bytes of shared memory per block ({} static and {} "
                      "dynamic), the device allows {}",
                      where(kernel), bytes, kernel.static_shared_bytes, launch.dynamic_shared_bytes,
                      device_.shared_per_block_optin_bytes));
    return std::nullopt;
  }

  Problem check_cluster(const Launch& launch, const Kernel& kernel) const {
    const Dim3& cluster = launch.cluster;
    if (launch.programmatic && device_.compute_major < 9)
      return launch_limit(
          fmt::format("{}: programmatic dependent launch needs sm_90 or later, the "
                      "target is {}",
                      where(kernel), device_.arch()));
    if (cluster == Dim3{0, 0, 0}) return std::nullopt;
    if (device_.compute_major < 9)
      return launch_limit(fmt::format("{}: clusters need sm_90 or later, the target is {}",
                                      where(kernel), device_.arch()));
    if (cluster.x == 0 || cluster.y == 0 || cluster.z == 0 ||
        volume(cluster) > device_.max_cluster_blocks)
      return launch_limit(fmt::format("{}: a cluster of {} blocks, the device allows 1 to {}",
                                      where(kernel), text(cluster), device_.max_cluster_blocks));
    if (launch.grid.x % cluster.x != 0 || launch.grid.y % cluster.y != 0 ||
        launch.grid.z % cluster.z != 0)
      return launch_limit(fmt::format("{}: the grid {} is not a multiple of the cluster {}",
                                      where(kernel), text(launch.grid), text(cluster)));
    return std::nullopt;
  }

  Problem check_cooperation(const Launch& launch, const Kernel& kernel) const {
    if (!launch.cooperative) return std::nullopt;
    const BlockUse use{static_cast<uint32_t>(volume(launch.block)), kernel.registers,
                       uint64_t{kernel.static_shared_bytes} + launch.dynamic_shared_bytes};
    const uint64_t most = uint64_t{resident_blocks(device_, use)} * device_.multiprocessors;
    if (volume(launch.grid) > most)
      return launch_limit(
          fmt::format("{}: a cooperative launch of {} blocks, but only {} fit on "
                      "the device at once",
                      where(kernel), volume(launch.grid), most));
    return std::nullopt;
  }

  // ---- memsets and copies

  Problem check(const Memset& memset) const {
    const std::string what = fmt::format("memset (operation {})", number_);
    if (memset.element_bytes != 1 && memset.element_bytes != 2 && memset.element_bytes != 4)
      return bad_plan(what + ": elements must have 1, 2 or 4 bytes");
    if (memset.target.offset % memset.element_bytes != 0 ||
        memset.width_bytes % memset.element_bytes != 0 ||
        (memset.height > 1 && memset.pitch_bytes % memset.element_bytes != 0))
      return bad_plan(what + ": not aligned to its elements");
    return check_area(what, memset.target, memset.width_bytes, memset.height, memset.pitch_bytes);
  }

  Problem check(const Copy& copy) const {
    const std::string what = fmt::format("copy (operation {})", number_);
    RETURN_IF_PROBLEM(check_area(what + " into its target", copy.target, copy.width_bytes,
                                 copy.height, copy.target_pitch_bytes));
    if (copy.literal.empty())
      return check_area(what + " from its source", copy.source, copy.width_bytes, copy.height,
                        copy.source_pitch_bytes);
    if (copy.height != 1 || copy.literal.size() != copy.width_bytes)
      return bad_plan(what + ": a literal must be one row of exactly its bytes");
    return std::nullopt;
  }

  Problem check(const ElementCopy& copy) const {
    const std::string what = fmt::format("element copy (operation {})", number_);
    const ElementGrid& elements = copy.elements;
    if (elements.rank > ElementGrid::kMaxRank) return bad_plan(what + ": too many axes");
    for (uint32_t axis = 0; axis < elements.rank; ++axis)
      if (elements.shape[axis] == 0) return bad_plan(what + ": no elements");
    RETURN_IF_PROBLEM(check_view(what + " into its target", copy.target, elements,
                                 elements.target_dtype, elements.target_strides));
    RETURN_IF_PROBLEM(check_view(what + " from its source", copy.source, elements,
                                 elements.source_dtype, elements.source_strides));
    if (has_overlapping_targets(elements))
      return problem("invalid_argument", what + ": several elements go to the same place");
    const auto target = static_cast<uint64_t>(copy.target.offset);
    const auto source = static_cast<uint64_t>(copy.source.offset);
    if (copy.target.allocation == copy.source.allocation &&
        target < source + span_bytes(elements, elements.source_dtype, elements.source_strides) &&
        source < target + span_bytes(elements, elements.target_dtype, elements.target_strides))
      return problem("invalid_argument", what + ": source and target overlap");
    return std::nullopt;
  }

  /// Bytes from a view's first element to the end of its last one.
  static uint64_t span_bytes(const ElementGrid& elements, Dtype dtype, const uint64_t* strides) {
    uint64_t last = 0;
    for (uint32_t axis = 0; axis < elements.rank; ++axis)
      last = saturating::add(last, saturating::multiply(elements.shape[axis] - 1, strides[axis]));
    return saturating::multiply(saturating::add(last, 1), size_bytes(dtype));
  }

  /// Whether an axis steps less far than the axes with smaller steps reach together. That refuses
  /// some targets without overlap too, none of which a view of a dense tensor has.
  static bool has_overlapping_targets(const ElementGrid& elements) {
    std::vector<std::pair<uint64_t, uint64_t>> axes;  // step, the farthest that it leads
    for (uint32_t axis = 0; axis < elements.rank; ++axis)
      if (elements.shape[axis] > 1)
        axes.emplace_back(elements.target_strides[axis],
                          (elements.shape[axis] - 1) * elements.target_strides[axis]);
    std::ranges::sort(axes);
    uint64_t reached = 0;
    for (const auto& [step, farthest] : axes) {
      if (step <= reached) return true;
      reached += farthest;
    }
    return false;
  }

  Problem check_view(const std::string& what, const Location& start, const ElementGrid& elements,
                     Dtype dtype, const uint64_t* strides) const {
    if (start.allocation >= plan_.allocations.size())
      return bad_plan(fmt::format("{}: allocation {} does not exist", what, start.allocation));
    const Allocation& allocation = plan_.allocations[start.allocation];
    if (allocation.kind == Allocation::Kind::variable)
      return bad_plan(what + ": a variable of the device code is no tensor");
    if (start.offset < 0 || static_cast<uint64_t>(start.offset) % size_bytes(dtype) != 0)
      return bad_plan(what + ": not aligned to its elements");
    const uint64_t span = span_bytes(elements, dtype, strides);
    const auto offset = static_cast<uint64_t>(start.offset);
    if (offset > allocation.bytes || span > allocation.bytes - offset)
      return problem("invalid_argument",
                     fmt::format("{}: {} bytes from byte {} on do not fit into {} ({} bytes)", what,
                                 span, offset, describe(start.allocation), allocation.bytes));
    return std::nullopt;
  }

  Problem check_area(const std::string& what, const Location& start, uint64_t width,
                     uint64_t height, uint64_t pitch) const {
    if (start.allocation >= plan_.allocations.size())
      return bad_plan(fmt::format("{}: allocation {} does not exist", what, start.allocation));
    if (width == 0 || height == 0) return bad_plan(what + ": no bytes");
    if (width > limits::kAllocationBytes || height > limits::kCopyRows ||
        pitch > limits::kAllocationBytes)
      return bad_plan(what + ": sizes beyond every device");
    if (height > 1 && pitch < width)
      return problem(
          "invalid_argument",
          fmt::format("{}: rows of {} bytes overlap at a pitch of {}", what, width, pitch));
    const uint64_t span = saturating::rows(width, height, pitch);
    const uint64_t bytes = plan_.allocations[start.allocation].bytes;
    if (start.offset < 0 || static_cast<uint64_t>(start.offset) > bytes ||
        span > bytes - static_cast<uint64_t>(start.offset))
      return problem("invalid_argument",
                     fmt::format("{}: {} bytes from byte {} on do not fit into {} ({} bytes)", what,
                                 span, start.offset, describe(start.allocation), bytes));
    return std::nullopt;
  }

  std::string describe(uint32_t number) const {
    const Allocation& allocation = plan_.allocations[number];
    switch (allocation.kind) {
      case Allocation::Kind::argument:
        return "tensor " + bound_.tensors[allocation.index].name;
      case Allocation::Kind::variable:
        return "variable " + allocation.name;
      case Allocation::Kind::scratch:
        break;
    }
    return fmt::format("the scratch buffer of {} bytes", allocation.bytes);
  }

  const LaunchPlan& plan_;
  const Artifact& artifact_;
  const BoundCase& bound_;
  const DeviceInfo& device_;
  size_t number_ = 0;  // of the operation under test
};

}  // namespace

std::optional<PlanProblem> validate(const LaunchPlan& plan, const Artifact& artifact,
                                    const BoundCase& bound, const DeviceInfo& device) {
  return Validator(plan, artifact, bound, device).run();
}

}  // namespace assay
