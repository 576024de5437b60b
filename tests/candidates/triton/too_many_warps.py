# task: vector-add
# expect: launch_error
# reason: launch_limits
# case: ragged
# 64 warps are more threads than a block may have.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 2048),)](a, b, c, n, BLOCK=2048, num_warps=64)
