# task: vector-add
# expect: record_error
# reason: bad_plan
# says: another
# case: ragged
# Reaches into the recorder and has another kernel launched, which does not exist.
import sys

import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    recording = sys.modules["assay_triton.recording"].Recording
    before = recording.add_operation

    def add_operation(self, action):
        action["launch"]["kernel"] = "another"
        before(self, action)

    recording.add_operation = add_operation
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
