# Specialist: one atomic addition a value, into counts that a first kernel sets to zero.
import triton
import triton.language as tl


@triton.jit
def clear(counts, bins, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(counts + i, tl.zeros([BLOCK], tl.int32), i < bins)


@triton.jit
def count(values, counts, n, bins, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(values + i, i < n, -1)
    tl.atomic_add(counts + value, 1, (value >= 0) & (value < bins), sem="relaxed")


def solve(values, counts, n, bins):
    clear[(triton.cdiv(bins, 1024),)](counts, bins, BLOCK=1024)
    count[(triton.cdiv(n, 2048),)](values, counts, n, bins, BLOCK=2048)
