// Branches, calls, ends of threads, and instructions that do nothing here.
#include <fmt/format.h>

#include <memory>

#include "evaluator/device/virtual/decoder.h"
#include "evaluator/device/virtual/warp.h"

namespace assay::virtual_gpu {

bool FunctionDecoder::branch() {
  modifiers_.take("uni");
  const Operand& target = operand(0);
  const uint32_t index =
      target.kind == Operand::Kind::name ? find_label(at_->scope, target.name) : kNone;
  if (index == kNone) return refuse("a branch to no label");
  emit(Control::branch).r[0] = index;
  return true;
}

bool FunctionDecoder::branch_indexed() {
  if (!modifiers_.take("idx")) return false;
  modifiers_.take("uni");
  const auto* names = find_table(operand(1).name);
  if (names == nullptr) return refuse("a table that is not there");
  auto targets = std::make_unique<Targets>();
  for (const std::string_view name : *names) {
    const uint32_t index = find_label(at_->scope, name);
    if (index == kNone) return refuse("a branch to no label");
    targets->pcs.push_back(index);
  }
  const uint32_t row = source(0, 4);
  Op& op = emit(Control::table);
  op.r[0] = row;
  op.table = targets.get();
  code_.targets.push_back(std::move(targets));
  return true;
}

bool FunctionDecoder::call() {
  modifiers_.take("uni");
  size_t next = 0;
  auto site = std::make_unique<CallSite>();
  const auto blobs = [&](const Operand& list, std::vector<Blob>& out) {
    for (const Operand& element : elements(list)) {
      const Symbol symbol =
          element.kind == Operand::Kind::name ? find_symbol(element.name) : Symbol{};
      if (symbol.kind != Symbol::Kind::blob)
        return refuse("an argument that is no .param variable");
      out.push_back(symbol.blob);
    }
    return true;
  };
  if (operand(next).kind == Operand::Kind::list && !blobs(operand(next++), site->results)) {
    return false;
  }
  const Operand target = operand(next++);
  if (operand(next).kind == Operand::Kind::list && !blobs(operand(next), site->arguments)) {
    return false;
  }
  Control control = Control::call;
  if (target.kind == Operand::Kind::reg) {
    calls_pointers_ = true;
    site->target = source(target, 8);
  } else {
    const auto& index = program_.module->function_index;
    const auto found = index.find(target.name);
    if (found == index.end()) return refuse("a call of no function");
    const Function& callee = program_.module->functions[found->second];
    if (!callee.defined) {
      if (target.name == "vprintf")
        site->external = External::print;
      else if (target.name == "__assertfail")
        site->external = External::assertion;
      else
        return refuse(fmt::format("a call of {}, which is defined nowhere", target.name));
      control = Control::external;
    } else if (callee.is_kernel) {
      return refuse("a call of a kernel");
    }
    site->function = found->second;
    reached_.push_back(found->second);
  }
  Op& op = emit(control);
  op.table = site.get();
  code_.calls.push_back(std::move(site));
  return true;
}

bool FunctionDecoder::leave() {
  modifiers_.take("uni");
  emit(Control::leave);
  return true;
}

bool FunctionDecoder::exit() {
  emit(Control::exit);
  return true;
}

bool FunctionDecoder::trap() {
  emit(Control::trap);
  return true;
}

bool FunctionDecoder::nanosleep() {
  modifiers_.take("u32");
  emit(Control::yield);
  return true;
}

bool FunctionDecoder::no_operation() {
  while (!modifiers_.take_any().empty()) {
  }
  emit_handler([](Warp&, const Op&, uint32_t) { return false; });
  return true;
}

bool FunctionDecoder::ignored_memory_hint() {
  const bool policy = modifiers_.name() == "createpolicy";
  while (!modifiers_.take_any().empty()) {
  }
  if (policy) {
    emit(OpCode::mov64, {destination(0, 8), constant(0, 8)});
    return true;
  }
  return no_operation();
}

}  // namespace assay::virtual_gpu
