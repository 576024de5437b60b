# Specialist: one program a token; tokens without a row are zeros.
import triton
import triton.language as tl


@triton.jit
def gather(table, index, y, cols, scale, BLOCK: tl.constexpr):
    token = tl.program_id(0).to(tl.int64)
    row = tl.load(index + token).to(tl.int64)
    for start in range(0, cols, BLOCK):
        column = start + tl.arange(0, BLOCK)
        values = tl.load(table + row * cols + column, (column < cols) & (row >= 0), 0.0)
        tl.store(y + token * cols + column, (scale * values.to(tl.float32)).to(tl.bfloat16),
                 column < cols)


def solve(table, index, y, vocabulary, cols, tokens, scale):
    block = min(triton.next_power_of_2(cols), 2048)
    gather[(tokens,)](table, index, y, cols, scale, BLOCK=block, num_warps=1 if block <= 256 else 4)
