"""adapt(): what Triton's compiler does otherwise while it records.

It stops at PTX: whoever wants machine code assembles that. The other stages are not written down.

Both recordings of a candidate share a cache of compiled kernels. They take turns at compiling, so
that one finds there what the other compiled instead of compiling it once more. The cache is this
candidate's own, so its keys need not tell installations of Triton apart: hashing all of Triton's
files takes longer than the rest of a recording.
"""
import os

import triton
from triton.backends.nvidia.compiler import CUDABackend


def adapt():
    CUDABackend.make_cubin = lambda backend, ptx, *more: ptx.encode()
    triton.knobs.compilation.store_binary_only = True
    for module in (triton.runtime.cache, triton.compiler.compiler):  # the latter up to 3.4
        module.triton_key = lambda: triton.__version__


def take_turns():
    """Of the processes forked after this one compiles at a time: the one that took the byte out of
    a pipe (the sandbox has no locks). Call the result when a process has ended, whose turn it may
    have been."""
    turn, next_turn = os.pipe()
    compile_kernel = triton.compiler.compile

    def pass_on():
        os.write(next_turn, b".")

    def compile_in_turn(*arguments, **keywords):
        os.read(turn, 1)
        try:
            return compile_kernel(*arguments, **keywords)
        finally:
            pass_on()

    triton.compiler.compile = compile_in_turn
    pass_on()
    return pass_on
