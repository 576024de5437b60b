# Specialist: one program a row of the result; rows without an entry are zeros.
import triton
import triton.language as tl


@triton.jit
def gather(table, index, y, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    entry = tl.load(index + row)
    for start in range(0, cols, BLOCK):
        column = start + tl.arange(0, BLOCK)
        values = tl.load(table + entry * cols + column, (column < cols) & (entry >= 0), 0.0)
        tl.store(y + row * cols + column, values, column < cols)


def solve(table, index, y, entries, cols, n):
    block = min(triton.next_power_of_2(cols), 1024)
    gather[(n,)](table, index, y, cols, BLOCK=block, num_warps=1 if block <= 128 else 4)
