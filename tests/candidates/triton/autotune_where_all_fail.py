# task: vector-add
# expect: compile_error
# reason: compile_error
# says: power of 2
# case: ragged
# No configuration compiles.
import triton
import triton.language as tl


@triton.autotune([triton.Config({"BLOCK": 100}),
                  triton.Config({"BLOCK": 200})], key=["n"])
@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](a, b, c, n)
