# task: vector-add
# expect: correct
# case: ragged
# Fewer programs than tiles: each takes several.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    for start in range(tl.program_id(0) * BLOCK, n, tl.num_programs(0) * BLOCK):
        i = start + tl.arange(0, BLOCK)
        tl.store(c + i, tl.load(a + i, i < n) + tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[(2,)](a, b, c, n, BLOCK=64)
