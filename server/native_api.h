// The native API, /v1 and the paths for operators (docs/server.md, openapi.json).
#pragma once

#include <functional>

#include "reports/store.h"
#include "server/router.h"
#include "server/service.h"

namespace assay {

/// `connections`: how many there are now, for /metrics.
void add_native_api(Router& router, Service& service, Store& store,
                    std::function<size_t()> connections);

}  // namespace assay
