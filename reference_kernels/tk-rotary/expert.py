# Specialist: one program turns a tile of rows of one head, each pair read and written once.
import triton
import triton.language as tl


@triton.jit
def rotate(x, cosines, sines, o, rows, length, half, ROWS: tl.constexpr, HALF: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    i = tl.arange(0, HALF)
    inside = (row[:, None] < rows) & (i[None, :] < half)
    angle = (row % length)[:, None] * half + i[None, :]
    first = row[:, None] * 2 * half + i[None, :]
    c = tl.load(cosines + angle, inside, 0.0).to(tl.float32)
    s = tl.load(sines + angle, inside, 0.0).to(tl.float32)
    low = tl.load(x + first, inside, 0.0).to(tl.float32)
    high = tl.load(x + first + half, inside, 0.0).to(tl.float32)
    tl.store(o + first, (low * c - high * s).to(tl.bfloat16), inside)
    tl.store(o + first + half, (high * c + low * s).to(tl.bfloat16), inside)


def solve(x, cosines, sines, o, batch, heads, length, dim):
    rows, half = batch * heads * length, dim // 2
    rotate[(triton.cdiv(rows, 16),)](x, cosines, sines, o, rows, length, half, ROWS=16,
                                     HALF=triton.next_power_of_2(half))
