# task: vector-add
# expect: wrong_output
# reason: unwritten
# case: ragged
# The cheapest configuration computes half of the result; it is chosen by cost, and judged.
import triton
import triton.language as tl


@triton.autotune([triton.Config({"BLOCK": 256, "PART": 1}),
                  triton.Config({"BLOCK": 256, "PART": 2})], key=["n"])
@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr, PART: tl.constexpr):
    first = tl.program_id(0) * BLOCK
    if first < n // PART:
        i = first + tl.arange(0, BLOCK)
        tl.store(c + i, tl.load(a + i, i < n) + tl.load(b + i, i < n), i < n)


def solve(a, b, c, n):
    add[lambda meta: (triton.cdiv(n, meta["BLOCK"]),)](a, b, c, n)
