# task: vector-add
# expect: wrong_output
# reason: mismatch
# case: ragged
# Takes the bits of the numbers for integers.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(a + i, i < n).to(tl.int32, bitcast=True)
    y = tl.load(b + i, i < n).to(tl.int32, bitcast=True)
    tl.store(c + i, (x + y).to(tl.float32, bitcast=True), i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
