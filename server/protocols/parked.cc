#include "server/protocols/parked.h"

#include <atomic>

namespace assay {

namespace {

constexpr double kRetrySeconds = 2;  // between attempts after trouble of ours

struct Parking : std::enable_shared_from_this<Parking> {
  Parking(Service& all, const Wanted& one, double limit_seconds,
          std::function<void(JudgedPointer)> tell)
      : service(all),
        wanted(one),
        until(seconds_from_now(limit_seconds)),
        answer(std::move(tell)) {}

  void place() {
    Order order = wanted.order;
    order.parked = true;
    order.deadline = seconds_from_now(service.options().deadline_seconds);
    service.desk().place(std::move(order),
                         [self = shared_from_this()](const JudgedPointer& judged) {
                           if (judged->policy_evidence()) return self->finish(judged);
                           if (seconds_from_now(kRetrySeconds) >= self->until)
                             return;  // the limit answers
                           self->service.desk().after(kRetrySeconds, [self] {
                             if (!self->answered) self->place();
                           });
                         });
  }
  void finish(JudgedPointer judged) {
    if (answered.exchange(true)) return;
    const auto tell = std::move(answer);  // the limit's timer keeps this, but not the connection
    tell(std::move(judged));
  }

  Service& service;
  const Wanted wanted;
  const SteadyTime until;
  std::function<void(JudgedPointer)> answer;  // called once
  std::atomic<bool> answered{false};
};

}  // namespace

void judge_parked(Service& service, const Wanted& wanted, double limit_seconds,
                  std::function<void(JudgedPointer)> answer) {
  const auto parking = std::make_shared<Parking>(service, wanted, limit_seconds, std::move(answer));
  parking->place();
  if (!parking->answered)
    service.desk().after(limit_seconds, [parking] { parking->finish(nullptr); });
}

}  // namespace assay
