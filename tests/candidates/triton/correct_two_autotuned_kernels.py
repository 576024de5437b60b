# task: vector-add
# expect: correct
# case: ragged
# Two kernels with configurations of their own, one of them through heuristics and pruning.
import torch
import triton
import triton.language as tl


def small(configurations, arguments, **_):
    return [one for one in configurations if one.kwargs["BLOCK"] <= 512]


@triton.autotune([triton.Config({"BLOCK": 128}), triton.Config({"BLOCK": 512}, num_warps=8),
                  triton.Config({"BLOCK": 4096})], key=["n"],
                 prune_configs_by={"early_config_prune": small})
@triton.heuristics({"EVEN": lambda given: given["n"] % given["BLOCK"] == 0})
@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    if EVEN:
        tl.store(y + i, tl.load(x + i))
    else:
        tl.store(y + i, tl.load(x + i, i < n), i < n)


@triton.autotune([triton.Config({"BLOCK": 64}, num_warps=1), triton.Config({"BLOCK": 256})], key=["n"])
@triton.jit
def add(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(y + i, tl.load(y + i, inside) + tl.load(x + i, inside), inside)


def solve(a, b, c, n):
    partial = torch.empty(n, dtype=torch.float32, device="cuda")
    grid = lambda given: (triton.cdiv(n, given["BLOCK"]),)
    copy[grid](a, partial, n)
    copy[grid](partial, c, n)
    add[grid](b, c, n)
