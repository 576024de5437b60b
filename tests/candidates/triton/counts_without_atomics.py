# task: histogram
# expect: wrong_output
# reason: mismatch
# case: tiny
# Adds one by loading and storing: of equal values one counts.
import triton
import triton.language as tl


@triton.jit
def count(values, counts, n, bins, BLOCK: tl.constexpr):
    bin = tl.arange(0, BLOCK)
    tl.store(counts + bin, tl.zeros([BLOCK], tl.int32), bin < bins)
    tl.debug_barrier()
    i = tl.arange(0, BLOCK)
    value = tl.load(values + i, i < n, -1)
    known = (value >= 0) & (value < bins)
    tl.store(counts + value, tl.load(counts + value, known) + 1, known)


def solve(values, counts, n, bins):
    count[(1,)](values, counts, n, bins, BLOCK=64)
