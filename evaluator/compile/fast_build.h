// The fast build of ordinary sources: NVRTC and g++ against precompiled headers.
#pragma once

#include <memory>
#include <optional>

#include "base/result.h"
#include "evaluator/compile/build.h"

namespace assay {

class FastBuild {
 public:
  static std::unique_ptr<FastBuild> create(const BuildContext& context);
  virtual ~FastBuild() = default;

  /// nullopt: this source is for nvcc. Never a failure of the candidate. Thread-safe.
  virtual Result<std::optional<BuildProduct>> build(const CompileRequest& request) = 0;
};

}  // namespace assay
