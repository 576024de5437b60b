# task: vector-add
# expect: wrong_output
# reason: mismatch
# case: ragged
# Adds in f16.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x, y = tl.load(a + i, i < n).to(tl.float16), tl.load(b + i, i < n).to(tl.float16)
    tl.store(c + i, (x + y).to(tl.float32), i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
