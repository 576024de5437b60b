# Specialist: tiles of 64 x 32, turned in shared memory; the padding is written with the tile.
import triton
import triton.language as tl


@triton.jit
def transpose(x, y, rows, cols, ld, ROWS: tl.constexpr, COLS: tl.constexpr):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLS + tl.arange(0, COLS)
    tile = tl.load(x + row.to(tl.int64)[:, None] * cols + column[None, :],
                   (row[:, None] < rows) & (column[None, :] < cols), 0.0)
    tl.store(y + column.to(tl.int64)[:, None] * ld + row[None, :], tl.trans(tile),
             (column[:, None] < cols) & (row[None, :] < ld))


def solve(x, y, rows, cols, ld):
    transpose[(triton.cdiv(ld, 64), triton.cdiv(cols, 32))](x, y, rows, cols, ld, ROWS=64, COLS=32)
