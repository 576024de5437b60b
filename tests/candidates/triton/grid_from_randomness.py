# task: vector-add
# expect: record_error
# reason: not_reproducible
# case: ragged
# The grid is drawn at random.
import random

import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    more = random.SystemRandom().randrange(1 << 20)
    add[(triton.cdiv(n, 256) + more,)](a, b, c, n, BLOCK=256)
