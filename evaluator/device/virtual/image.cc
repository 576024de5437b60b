#include "evaluator/device/virtual/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/demangle.h"

namespace assay::virtual_gpu {
namespace {

bool has_memory(const Variable& variable) {
  return (variable.space == Space::global || variable.space == Space::constant) &&
         !variable.external && variable.bytes > 0;
}

}  // namespace

Result<std::unique_ptr<Image>> Image::load(AddressSpace& space, const Artifact& artifact) {
  std::unique_ptr<Image> image(new Image(space));
  ASSIGN_OR_RETURN(image->module_, parse_ptx(artifact.ptx));
  for (const Kernel& kernel : artifact.kernels) {
    if (!kernel.demangled.empty()) image->display_names_[kernel.name] = kernel.demangled;
  }
  RETURN_IF_ERROR(image->place_variables());
  image->reset();
  return image;
}

Image::~Image() {
  for (const Place& place : places_) {
    if (place.region != nullptr) space_.remove(place.region);
  }
}

Result<void> Image::place_variables() {
  symbols_.space = &space_;
  for (const Variable& variable : module_->variables) {
    Place place;
    if (has_memory(variable)) {
      ASSIGN_OR_RETURN(HostMemory memory, HostMemory::allocate(variable.bytes, space_.random()));
      place.memory = std::make_unique<HostMemory>(std::move(memory));
      ASSIGN_OR_RETURN(
          place.region,
          space_.add(Region::Kind::memory, variable.bytes, place.memory->data(),
                     fmt::format("variable {}", demangled_name(std::string(variable.name))),
                     variable.space == Space::constant));
    }
    symbols_.variables.push_back(place.region != nullptr ? place.region->address : 0);
    places_.push_back(std::move(place));
  }
  return {};
}

void Image::reset() {
  for (size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].region != nullptr) write_initial(i);
  }
}

void Image::write_initial(size_t index) {
  const Variable& variable = module_->variables[index];
  std::byte* host = places_[index].region->host;
  memcpy(host, variable.initial.data(), variable.initial.size());
  memset(host + variable.initial.size(), 0, variable.bytes - variable.initial.size());
  for (const Variable::Address& entry : variable.addresses) {
    uint64_t address = 0;
    if (const auto found = module_->variable_index.find(entry.symbol);
        found != module_->variable_index.end()) {
      address = symbols_.variables[found->second];
    } else if (const auto function = module_->function_index.find(entry.symbol);
               function != module_->function_index.end()) {
      address = space_.window(Region::Kind::code).address + uint64_t{function->second} * 16;
    }
    address = (address + static_cast<uint64_t>(entry.addend)) >> entry.shift;
    memcpy(host + entry.offset, &address, std::min<size_t>(entry.bytes, 8));
  }
}

const Region* Image::variable(const std::string& name) const {
  const auto found = module_->variable_index.find(name);
  return found == module_->variable_index.end() ? nullptr : places_[found->second].region;
}

const Program* Image::kernel(const std::string& name) {
  const auto found = module_->function_index.find(name);
  if (found == module_->function_index.end()) return nullptr;
  const Function& function = module_->functions[found->second];
  if (!function.is_kernel || !function.defined) return nullptr;
  std::unique_ptr<Program>& program = programs_[name];
  if (program == nullptr) program = decode(*module_, function, symbols_);
  return program.get();
}

std::string Image::display_name(const std::string& name) const {
  const auto found = display_names_.find(name);
  std::string readable = found != display_names_.end() ? found->second : demangled_name(name);
  // Without template arguments and parameters spelt out at length.
  if (readable.size() > 80) readable = readable.substr(0, 77) + "...";
  return readable;
}

}  // namespace assay::virtual_gpu
