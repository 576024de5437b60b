// The drop-in protocols, one file each; each adds its routes under a prefix of its own.
#pragma once

#include "server/router.h"
#include "server/service.h"

namespace assay {

void add_openrlhf(Router& router, Service& service);        // /openrlhf
void add_slime(Router& router, Service& service);           // /slime, /miles
void add_sandbox_fusion(Router& router, Service& service);  // /sandbox
void add_nemo_gym(Router& router, Service& service);        // /nemo-gym
void add_openenv(Router& router, Service& service);         // /openenv
void add_kernelgym(Router& router, Service& service);       // /kernelgym

}  // namespace assay
