# task: vector-add
# expect: record_error
# reason: not_reproducible
# case: ragged
# Passes an address as if it were a number.
import triton
import triton.language as tl


@triton.jit
def add(address, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = address.to(tl.pointer_type(tl.float32))
    tl.store(c + i, tl.load(x + i, i < n) + tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[(triton.cdiv(n, 256),)](a.data_ptr(), b, c, n, BLOCK=256)
