// Reward formulas of published projects, as they wrote them. c = 1 if correct, s = speedup over the
// baseline (here the naive kernel). Sources are named with each; "code" means the project's own
// code or documentation, "secondary" that the numbers come from descriptions by others.
#include <algorithm>
#include <cmath>

#include "evaluator/score/reward_lists.h"

namespace assay {

namespace {

using Facts = RewardFacts;
using Maybe = std::optional<Reward>;

double one_if(bool holds) { return holds ? 1 : 0; }

/// Kevin-32B (arXiv 2507.11948): 0.3 c + c s.
Maybe kevin32b(const Facts& facts) {
  const double c = one_if(facts.correct());
  return Reward{{{"correct", 0.3 * c}, {"speed", c * facts.speedup}}};
}

/// CUDA-L1: the speedup itself; normalised and clipped in the group.
Maybe cuda_l1(const Facts& facts) {
  return Reward{{{"speed", facts.correct() ? facts.speedup : 0}}};
}

/// CUDA-Agent: levels -1, 1, 2, 3. Their baselines are eager PyTorch and
/// torch.compile; here the naive kernel and the expert's stand for them.
Maybe cuda_agent(const Facts& facts) {
  if (!facts.correct()) return Reward{{{"correct", -1}, {"over_eager", 0}, {"over_compiled", 0}}};
  const bool first = facts.speedup > 1.05;
  const bool second = first && facts.over_expert.value_or(0) > 1.05;
  return Reward{{{"correct", 1}, {"over_eager", one_if(first)}, {"over_compiled", one_if(second)}}};
}

/// Dr.Kernel (arXiv 2602.05885), "speedup": 0.5 c + 0.5 min(s, 3) + 0.5 c cov. The server sends
/// s = 0 unless correct; so does this.
Maybe drkernel_speedup(const Facts& facts) {
  const double c = one_if(facts.correct());
  return Reward{{{"correct", 0.5 * c},
                 {"speed", 0.5 * c * std::min(facts.speedup, 3.0)},
                 {"coverage", 0.5 * c * facts.time_coverage}}};
}

/// "weighted": 0.5 c + 0.5 [s >= 1.01]; its coverage term is off by default.
Maybe drkernel_weighted(const Facts& facts) {
  const double c = one_if(facts.correct());
  return Reward{{{"correct", 0.5 * c}, {"speed", 0.5 * c * one_if(facts.speedup >= 1.01)}}};
}

/// "tiers".
Maybe drkernel_tiers(const Facts& facts) {
  const auto tier = [&]() -> double {
    if (facts.tampered()) return -1;
    if (!facts.compiled) return -0.5;
    if (!facts.correct()) return -0.3;
    const double s = facts.speedup;
    if (s < 1) return -0.1;
    return s >= 3 ? 1.0 : s >= 2 ? 0.8 : s >= 1.5 ? 0.6 : s >= 1.2 ? 0.4 : 0.2;
  };
  return Reward{{{"tier", tier()}}};
}

/// TritonForge: 0.1 compiled; correct: b + min(max(s - 1, 0), 2).
Maybe tritonforge(const Facts& facts, double base) {
  const bool correct = facts.correct();
  const bool compiled = facts.compiled && !facts.tampered();
  return Reward{{{"compiled", !correct && compiled ? 0.1 : 0},
                 {"correct", correct ? base : 0},
                 {"speed", correct ? std::clamp(facts.speedup - 1, 0.0, 2.0) : 0}}};
}

/// AutoTriton (arXiv 2507.05687): 1 if it is Triton and all tests pass.
Maybe autotriton(const Facts& facts) {
  return Reward{{{"correct", one_if(facts.triton && facts.correct())}}};
}

/// TritonRL, uniform variant b R_correct + (1 - b) R_speedup with b = 0.9; the
/// token-class variant (plan 0.1 R_speedup, code R_correct) has these two as its components.
Maybe tritonrl(const Facts& facts) {
  const double c = one_if(facts.correct());
  return Reward{{{"correct", 0.9 * c}, {"speed", 0.1 * c * facts.speedup}}};
}

/// kernrl (an OpenEnv environment): -0.5 not compiled, -0.25 wrong, s - 1 halved below 1 and cut at
/// 2 above, 0 for correct without timing.
Maybe kernrl(const Facts& facts) {
  const auto value = [&]() -> double {
    if (!facts.compiled) return -0.5;
    if (!facts.correct()) return -0.25;
    if (!facts.timed) return 0;
    const double gain = facts.speedup - 1;
    return gain <= 0 ? 0.5 * gain : std::min(gain, 2.0);
  };
  return Reward{{{"reward", value()}}};
}

/// kernelbench-tinker as documented: -2 format, -1 compile error, 0 static checker, else 0.3 c + c
/// s with the speedup capped at 10.
Maybe kbtinker_doc(const Facts& facts) {
  const bool right = facts.correct();
  const double penalty = !facts.has_code() ? -2 : !facts.compiled && !facts.tampered() ? -1 : 0;
  return Reward{{{"penalty", penalty},
                 {"correct", right ? 0.3 : 0},
                 {"speed", right ? std::min(facts.speedup, 10.0) : 0}}};
}

/// kernelbench-tinker as shipped: 0.3 flat for all tests; for a share p of them 0.3 p, or
/// 0.3 + min(s - 1, 10) if s > 1. Its partly right kernels can be timed; assay times only correct
/// ones, so the last case does not arise.
Maybe kbtinker_code(const Facts& facts) {
  return Reward{{{"tests", facts.tampered() ? 0 : 0.3 * facts.correct_fraction()}}};
}

/// SOL-ExecBench: 1 / (1 + (T - T_SOL)/(T_b - T_SOL)).
Maybe sol(const Facts& facts) {
  if (!facts.correct()) return Reward{{{"sol", 0}}};
  if (!facts.sol) return std::nullopt;  // the device's limits are not known
  return Reward{{{"sol", *facts.sol}}};
}

/// AgentKernelArena: 20 compiled, 120 + 100 s correct.
Maybe agentkernelarena(const Facts& facts) {
  const bool compiled = facts.compiled && !facts.tampered();
  const bool correct = facts.correct();
  return Reward{{{"compiled", compiled ? 20.0 : 0},
                 {"correct", correct ? 100.0 : 0},
                 {"speed", correct ? 100 * facts.speedup : 0}}};
}

/// KernelGuard: -2.0 where it blocks, else the task's reward (assay's: 1 if correct).
Maybe kguard(const Facts& facts) {
  return Reward{{{"guard", facts.tampered() ? -2.0 : 0}, {"correct", one_if(facts.correct())}}};
}

/// KernelBench-Hard: achieved over peak, 0 if wrong.
Maybe peak_fraction(const Facts& facts) {
  if (!facts.correct()) return Reward{{{"peak", 0}}};
  if (!facts.speed_of_light) return std::nullopt;
  return Reward{{{"peak", *facts.speed_of_light}}};
}

/// FlashInfer contest: mean speedup over an optimised baseline, here the expert's kernel.
Maybe flashinfer_mean(const Facts& facts) {
  if (!facts.correct()) return Reward{{{"speed", 0}}};
  if (!facts.over_expert) return std::nullopt;
  return Reward{{{"speed", *facts.over_expert}}};
}

}  // namespace

std::vector<RewardFormula> published_rewards() {
  return {
      {"kevin32b", 1, "0.3 c + c s", "Kevin-32B, arXiv 2507.11948 (0.3: secondary)", true,
       kevin32b},
      {"cuda_l1", 1, "s if correct, else 0; normalised and clipped within the group",
       "CUDA-L1 (secondary)", true, cuda_l1},
      {"cuda_agent", 1,
       "-1 not correct, 1 correct, 2 if over 5 % faster than naive, 3 if than the expert too",
       "CUDA-Agent (5 %: code, values: secondary)", true, cuda_agent},
      {"drkernel_speedup", 1, "0.5 c + 0.5 c min(s, 3) + 0.5 c time_coverage",
       "Dr.Kernel, arXiv 2602.05885, and its training script (code)", true, drkernel_speedup},
      {"drkernel_weighted", 1, "0.5 c + 0.5 c [s >= 1.01]",
       "Dr.Kernel's default configuration (code)", true, drkernel_weighted},
      {"drkernel_tiers", 1,
       "-1 tampered, -0.5 not compiled, -0.3 wrong, -0.1 if s < 1, then 0.2, 0.4, 0.6, 0.8, 1.0 "
       "for s >= 1, 1.2, 1.5, 2, 3",
       "Dr.Kernel (code)", true, drkernel_tiers},
      {"tritonforge_train", 1, "0.1 compiled; correct: 0.3 + min(max(s - 1, 0), 2)",
       "TritonForge's training (code)", true,
       [](const Facts& facts) { return tritonforge(facts, 0.3); }},
      {"tritonforge_eval", 1, "0.1 compiled; correct: 1 + min(max(s - 1, 0), 2)",
       "TritonForge's evaluation script (code)", true,
       [](const Facts& facts) { return tritonforge(facts, 1.0); }},
      {"autotriton", 1, "1 if Triton and correct, else 0", "AutoTriton, arXiv 2507.05687", false,
       autotriton},
      {"tritonrl", 1, "0.9 c + 0.1 c s", "TritonRL (secondary)", true, tritonrl},
      {"kernrl", 1,
       "-0.5 not compiled, -0.25 wrong, 0.5 (s - 1) for s <= 1, min(s - 1, 2) above, 0 not timed. "
       "Ranks a correct kernel with s < 0.5 below a wrong one",
       "kernrl, an OpenEnv environment (code)", false, kernrl},
      {"kbtinker_doc", 1, "-2 no code, -1 not compiled, else 0.3 c + c min(s, 10)",
       "kernelbench-tinker's documentation", true, kbtinker_doc},
      {"kbtinker_code", 1, "0.3 times the share of test cases right", "kernelbench-tinker's code",
       false, kbtinker_code},
      {"sol", 1, "1 / (1 + (T - T_limit)/(T_naive - T_limit)) if correct, else 0",
       "SOL-ExecBench (code)", true, sol},
      {"agentkernelarena", 1, "20 compiled; 120 + 100 s correct", "AgentKernelArena (code)", true,
       agentkernelarena},
      {"kguard", 1, "-2 tampered, 1 correct, else 0", "KernelGuard (code)", false, kguard},
      {"peak_fraction", 1, "share of the physical limit if correct, else 0",
       "KernelBench-Hard (code)", true, peak_fraction},
      {"flashinfer_mean", 1, "speedup over the expert if correct, else 0",
       "FlashInfer's contest (code)", true, flashinfer_mean},
  };
}

}  // namespace assay
