# task: vector-add
# expect: record_error
# reason: plan_limits
# case: ragged
# More launches than a plan may have.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    for _ in range(100_000):
        add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
