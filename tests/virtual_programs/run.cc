#include "tests/virtual_programs/run.h"

#include <array>

namespace assay::virtual_programs {
namespace {

/// One launch of a warp a block, with the addresses of inputs and outputs.
LaunchPlan plan_of(const Program& program, const std::string& kernel) {
  Launch launch;
  launch.kernel = kernel;
  launch.grid = {program.lanes / 32, 1, 1};
  launch.block = {32, 1, 1};
  launch.parameters = std::string(16, '\0');
  launch.relocations = {{0, {0, 0}}, {8, {1, 0}}};
  LaunchPlan plan;
  const auto argument = [&](uint32_t index, size_t slots) {
    Allocation allocation;
    allocation.kind = Allocation::Kind::argument;
    allocation.index = index;
    allocation.bytes = 8 * slots;
    plan.allocations.push_back(allocation);
  };
  argument(0, program.inputs.size());
  argument(1, program.expected.size());
  plan.operations.push_back({launch, {}, 0});
  return plan;
}

}  // namespace

Artifact artifact_of(std::span<const Program> programs) {
  Artifact artifact;
  artifact.key = "virtual_programs";
  artifact.arch = "sm_90";
  artifact.ptx = module_text(programs);
  for (size_t i = 0; i < programs.size(); ++i) {
    Kernel kernel;
    kernel.name = kernel.demangled = programs[i].kernel(i);
    kernel.parameters = {{0, 8, 8}, {8, 8, 8}};
    artifact.kernels.push_back(kernel);
  }
  return artifact;
}

Result<std::vector<uint64_t>> run_program(Device& device, Module& module, const Program& program,
                                          size_t index) {
  std::vector<uint64_t> outputs(program.expected.size());
  ASSIGN_OR_RETURN(const Buffer in, device.allocate(8 * program.inputs.size(), "inputs"));
  ASSIGN_OR_RETURN(const Buffer out, device.allocate(8 * outputs.size(), "outputs"));
  RETURN_IF_ERROR(device.upload(in, std::as_bytes(std::span(program.inputs))));
  // Narrow results do not fill their slots.
  RETURN_IF_ERROR(device.upload(out, std::as_bytes(std::span(outputs))));
  const std::array arguments = {in, out};
  ASSIGN_OR_RETURN(const std::unique_ptr<PreparedPlan> plan,
                   device.prepare(module, plan_of(program, program.kernel(index)), arguments));
  ASSIGN_OR_RETURN(const RunReport report, device.run(*plan, {}));
  if (report.fault) {
    return Error{ErrorKind::device, program.name + ": " + report.fault->explanation};
  }
  RETURN_IF_ERROR(device.download(out, std::as_writable_bytes(std::span(outputs))));
  device.release(in);
  device.release(out);
  return outputs;
}

}  // namespace assay::virtual_programs
