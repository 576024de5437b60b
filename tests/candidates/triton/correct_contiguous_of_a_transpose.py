# task: transpose-padded
# expect: correct
# case: tiny
# The judge makes the copy that contiguous() is.
import triton
import triton.language as tl


@triton.jit
def pad(x, y, rows, ld, BLOCK: tl.constexpr):
    column = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    value = tl.load(x + column * rows + i, i < rows, 0.0)
    tl.store(y + column * ld + i, value, i < ld)


def solve(x, y, rows, cols, ld):
    turned = x.t().contiguous()
    pad[(cols,)](turned, y, rows, ld, BLOCK=triton.next_power_of_2(ld))
