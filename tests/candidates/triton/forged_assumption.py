# task: vector-add
# expect: record_error
# reason: specialisation
# case: ragged
# Reaches into the recorder and claims that the code was compiled for a length divisible by 16.
import json
import sys

import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    recorder = sys.modules["assay_triton.record"]
    before = recorder.describe

    def describe(images):
        description = json.loads(before(images))
        for kernel in description["kernels"]:
            kernel["divisible_by_16"].append(3)
        return json.dumps(description)

    recorder.describe = describe
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
