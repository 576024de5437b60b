# task: vector-add
# expect: correct
# case: ragged
# The size of a block comes from triton.heuristics, the grid from the bound arguments.
import triton
import triton.language as tl


@triton.heuristics({"BLOCK": lambda arguments: triton.next_power_of_2(min(arguments["n"], 512))})
@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    add[lambda meta: (triton.cdiv(meta["n"], meta["BLOCK"]),)](a, b, c, n)
