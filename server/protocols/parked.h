// Waiting on behalf of clients that must neither be refused nor be told a made-up number.
#pragma once

#include <functional>

#include "server/service.h"

namespace assay {

/// Places the order and calls `answer` once: with a verdict, or with null when there is none after
/// `limit_seconds`. Trouble of ours is tried again until then. The evaluation goes on after the
/// limit: the client's retry joins it, or finds its verdict.
void judge_parked(Service& service, const Wanted& wanted, double limit_seconds,
                  std::function<void(JudgedPointer)> answer);

}  // namespace assay
