# task: transpose-padded
# expect: correct
# case: tiny
# Transposes a view, by its strides.
import triton
import triton.language as tl


@triton.jit
def transpose(x, y, rows, cols, ld, stride_row, stride_column, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row, column = i % ld, i // ld
    value = tl.load(x + row * stride_row + column * stride_column, (row < rows) & (column < cols),
                    0.0)
    tl.store(y + i, value, column < cols)


def solve(x, y, rows, cols, ld):
    turned = x.view(rows, cols).transpose(0, 1)
    transpose[(triton.cdiv(y.numel(), 256),)](x, y, rows, cols, ld, turned.stride(1),
                                              turned.stride(0), BLOCK=256)
