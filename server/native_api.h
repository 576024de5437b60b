// The native API: /v1, and the paths for operators (docs/server.md, openapi.json).
#pragma once

#include <functional>

#include "reports/store.h"
#include "server/router.h"
#include "server/service.h"

namespace assay {

/// Evaluations, groups, rescoring.
void add_native_api(Router& router, Service& service, Store& store);

/// Tasks, rewards, capacity, health, metrics, the document. `connections`: how many there are now.
void add_information_api(Router& router, Service& service, std::function<size_t()> connections);

}  // namespace assay
