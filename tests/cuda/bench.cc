#include "tests/cuda/bench.h"

#include <dlfcn.h>

#include <cstring>

#include "base/files.h"
#include "evaluator/compile/ptx_header.h"
#include "evaluator/device/cuda/device.h"

namespace assay::cuda_bench {

namespace {

/// A symbol of the stand-in, loaded once. Its soname is libcuda.so.1: who asks for that later gets
/// this one.
void* symbol(const char* name) {
  static void* const library = dlopen(ASSAY_FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  void* found = dlsym(library, name);
  if (!found) throw std::runtime_error(dlerror());
  return found;
}

}  // namespace

fake_driver::Control& control() {
  return *reinterpret_cast<fake_driver::ControlFunction>(symbol("fake_driver_control"))();
}

void restart() { reinterpret_cast<fake_driver::RestartFunction>(symbol("fake_driver_restart"))(); }

std::unique_ptr<Device> make_device() {
  control();
  auto device = cuda::make_device(0);
  if (!device.ok()) throw std::runtime_error(device.error().message);
  return *std::move(device);
}

const Artifact& kernels() {
  static const Artifact artifact = [] {
    Artifact made;
    made.arch = "sm_90";
    made.ptx = read_file(ASSAY_KERNELS_PTX).value();
    made.kernels = parse_ptx_header(made.ptx).value().kernels;
    return made;
  }();
  return artifact;
}

BoundCase add_one_case() {
  BoundCase bound;
  bound.task_id = "add-one";
  bound.case_name = "small";
  BoundTensor x;
  x.name = "x";
  x.shape = {kElements};
  x.elements = kElements;
  x.fill.kind = FillKind::normal;
  x.fill.elements = kElements;
  x.fill.b = 1;
  BoundTensor y = x;
  y.name = "y";
  y.direction = Direction::out;
  y.tolerance = {0, 1e-6, std::nullopt};
  bound.tensors = {x, y};
  // More than the kernel moves: a burst then has tens of slots, not thousands.
  bound.bytes = 1e8;
  return bound;
}

Launch launch(const std::string& kernel, std::vector<int> more) {
  Launch launch;
  launch.kernel = kernel;
  launch.grid = {8, 1, 1};
  launch.block = {128, 1, 1};
  launch.parameters.assign(16, '\0');
  launch.relocations = {{0, {0, 0}}, {8, {1, 0}}};
  const int n = kElements;
  launch.parameters.append(reinterpret_cast<const char*>(&n), sizeof n);
  for (const int value : more)
    launch.parameters.append(reinterpret_cast<const char*>(&value), sizeof value);
  return launch;
}

LaunchPlan chain(std::vector<Operation> operations) {
  LaunchPlan plan;
  plan.allocations = {{Allocation::Kind::argument, 0, "", 4 * kElements},
                      {Allocation::Kind::argument, 1, "", 4 * kElements}};
  plan.operations = std::move(operations);
  for (uint32_t i = 1; i < plan.operations.size(); ++i) plan.operations[i].depends_on = {i - 1};
  return plan;
}

LaunchPlan plan_of(Launch launch) { return chain({Operation{std::move(launch), {}, 0}}); }

Rig::Rig(Device& on) : device(on) {
  x = device.allocate(4 * kElements, "x").value();
  y_buffer = device.allocate(4 * kElements, "y").value();
  std::vector<float> values(kElements);
  for (uint32_t i = 0; i < kElements; ++i) values[i] = static_cast<float>(i);
  EXPECT_TRUE(device.upload(x, std::as_bytes(std::span(values))).ok());
  EXPECT_TRUE(device.poison(y_buffer, Dtype::f32, 7).ok());
}

Result<RunReport> Rig::run(const LaunchPlan& plan, const RunOptions& options) {
  prepared.reset();
  if (!module) {
    ASSIGN_OR_RETURN(module, device.load(kernels()));
  }
  const Buffer arguments[] = {x, y_buffer};
  ASSIGN_OR_RETURN(prepared, device.prepare(*module, plan, arguments));
  return device.run(*prepared, options);
}

std::vector<float> Rig::y() {
  std::vector<float> values(kElements);
  EXPECT_TRUE(device.download(y_buffer, std::as_writable_bytes(std::span(values))).ok());
  return values;
}

::testing::AssertionResult Rig::holds(float amount) {
  const std::vector<float> values = y();
  for (uint32_t i = 0; i < kElements; ++i)
    if (values[i] != static_cast<float>(i) + amount)
      return ::testing::AssertionFailure() << "y[" << i << "] is " << values[i];
  return ::testing::AssertionSuccess();
}

}  // namespace assay::cuda_bench
