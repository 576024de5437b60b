# task: vector-add
# expect: correct
# case: ragged
# There is nothing to be found in the environment, and nothing wrong with looking.
import os

import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    assert "ASSAY_TRITON_HOME" not in os.environ
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
