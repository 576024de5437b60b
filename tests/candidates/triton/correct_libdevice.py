# task: vector-add
# expect: correct
# case: ragged
# Functions of libdevice, which Triton links.
import triton
import triton.language as tl
from triton.language.extra import libdevice


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    both = libdevice.fma(tl.load(a + i, i < n), 1.0, tl.load(b + i, i < n))
    tl.store(c + i, both, i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
