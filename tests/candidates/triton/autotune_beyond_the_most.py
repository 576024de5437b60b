# task: vector-add
# expect: record_error
# reason: plan_limits
# says: at most 32 are tried
# case: ragged
# More configurations than are tried.
import triton
import triton.language as tl


@triton.autotune([triton.Config({"BLOCK": 2**i}, num_warps=w)
                  for i in range(5, 11) for w in (1, 2, 4, 8, 16, 32)], key=["n"])
@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](a, b, c, n)
