# task: transpose-padded
# expect: record_error
# reason: exception
# says: has no view
# case: tiny
# torch has no such view; reshape() would copy.
import triton
import triton.language as tl


@triton.jit
def pad(x, y, rows, ld, BLOCK: tl.constexpr):
    column = tl.program_id(0)
    i = tl.arange(0, BLOCK)
    value = tl.load(x + column * rows + i, i < rows, 0.0)
    tl.store(y + column * ld + i, value, i < ld)


def solve(x, y, rows, cols, ld):
    pad[(cols,)](x.t().view(-1), y, rows, ld, BLOCK=triton.next_power_of_2(ld))
