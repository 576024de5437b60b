# task: vector-add
# expect: timeout
# reason: kernel_time
# case: ragged
# Waits for a number that never comes.
import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(c + i, tl.load(a + i, i < n) + tl.load(b + i, i < n), i < n)
    while n > 0:
        n += 2
        n -= 2
        tl.debug_barrier()


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
