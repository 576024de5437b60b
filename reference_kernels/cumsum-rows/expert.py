# Specialist: several short rows a program. Long rows are cut into stretches of 4096: sums of the
# stretches, sums before each, then every stretch on its own.
import torch
import triton
import triton.language as tl


@triton.jit
def place(i, cols, REVERSE: tl.constexpr):
    return cols - 1 - i if REVERSE else i


@triton.jit
def short_rows(x, y, rows, cols, REVERSE: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    i = tl.arange(0, BLOCK)
    at = row.to(tl.int64)[:, None] * cols + place(i, cols, REVERSE)[None, :]
    inside = (row[:, None] < rows) & (i[None, :] < cols)
    tl.store(y + at, tl.cumsum(tl.load(x + at, inside, 0.0), 1), inside)


@triton.jit
def sum_stretches(x, sums, cols, REVERSE: tl.constexpr, BLOCK: tl.constexpr):
    row, stretch = tl.program_id(1).to(tl.int64), tl.program_id(0)
    i = stretch * BLOCK + tl.arange(0, BLOCK)
    values = tl.load(x + row * cols + place(i, cols, REVERSE), i < cols, 0.0)
    tl.store(sums + row * tl.num_programs(0) + stretch, tl.sum(values, 0))


@triton.jit
def sums_before(sums, stretches, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    values = tl.load(sums + row * stretches + i, i < stretches, 0.0)
    before = tl.cumsum(values, 0) - values
    tl.debug_barrier()
    tl.store(sums + row * stretches + i, before, i < stretches)


@triton.jit
def write(x, sums, y, cols, REVERSE: tl.constexpr, BLOCK: tl.constexpr):
    row, stretch = tl.program_id(1).to(tl.int64), tl.program_id(0)
    i = stretch * BLOCK + tl.arange(0, BLOCK)
    at = row * cols + place(i, cols, REVERSE)
    before = tl.load(sums + row * tl.num_programs(0) + stretch)
    tl.store(y + at, before + tl.cumsum(tl.load(x + at, i < cols, 0.0), 0), i < cols)


def solve(x, y, rows, cols, reverse):
    block = min(triton.next_power_of_2(cols), 4096)
    if cols <= block:
        together = max(2048 // block, 1)
        short_rows[(triton.cdiv(rows, together),)](x, y, rows, cols, REVERSE=reverse,
                                                   ROWS=together, BLOCK=block)
        return
    stretches = triton.cdiv(cols, block)
    sums = torch.empty((rows, stretches), dtype=torch.float32)
    sum_stretches[(stretches, rows)](x, sums, cols, REVERSE=reverse, BLOCK=block)
    sums_before[(rows,)](sums, stretches, BLOCK=triton.next_power_of_2(stretches))
    write[(stretches, rows)](x, sums, y, cols, REVERSE=reverse, BLOCK=block)
