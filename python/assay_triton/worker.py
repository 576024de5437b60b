"""One recording by a process that is ready before its candidate is known.

    python -m assay_triton.worker

Importing Triton and setting up its compiler take longer than compiling most kernels. Both happen
here before anything of a candidate's is there; the process then waits for {"candidate": source,
"request": ...} on descriptor 3 until its end, writes them down as the files that record.py reads,
and records. It records once: whoever wants another recording starts another worker.
"""
import gc
import json
import os
from pathlib import Path

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from assay_triton import compiler, record

CHANNEL = 3


@triton.jit
def _one(x):
    tl.store(x, 1)


def warm_up():
    triton.compile(ASTSource(fn=_one, signature={"x": "*i32"}, constexprs={}),
                   target=GPUTarget("cuda", 80, 32))


def main():
    compiler.adapt()
    warm_up()
    gc.freeze()  # the recordings' collector need not look at what is there already
    with os.fdopen(CHANNEL, encoding="utf-8") as channel:
        text = channel.read()
    if not text:
        return  # nobody needs this worker any more
    job = json.loads(text)
    record.CANDIDATE.write_text(job["candidate"], encoding="utf-8", newline="")
    Path("request.json").write_text(json.dumps(job["request"]))
    record.main()


if __name__ == "__main__":
    main()
    os._exit(0)  # taking the interpreter and Triton apart takes longer than to end
