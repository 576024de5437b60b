# task: vector-add
# expect: record_error
# reason: exception
# says: PermissionError
# case: ragged
# Asks somebody else.
import socket

import triton
import triton.language as tl


@triton.jit
def add(a, b, c, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(c + i, tl.load(a + i, inside) + tl.load(b + i, inside), inside)


def solve(a, b, c, n):
    socket.create_connection(("127.0.0.1", 80), 1)
    add[(triton.cdiv(n, 256),)](a, b, c, n, BLOCK=256)
