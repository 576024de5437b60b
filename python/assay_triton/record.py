"""Theory of operation

One process records one candidate for one case, and needs no GPU and no torch:

    python -m assay_triton.record      (the current folder holds input and takes output)

    candidate.py   the candidate; solve(tensors and scalars in the order of the task)
    request.json   {"arguments": [{"tensor": {"dtype", "shape"}} | {"scalar": number}],
                    "device": {"arch": "sm_80", "shared_bytes", "multiprocessors"},
                    "base": where fake addresses begin}
 -> plan.json      a launch plan (docs/launch-plan.md), with relocations and without addresses
    kernels.json   of every kernel that the plan names: symbol, layout of the parameters, and which
                   of them the code assumes to be divisible by 16
    kernel_N.ptx, kernel_N.cubin
 or failure        a reason, a line feed, a sentence

Triton runs unchanged: it binds the arguments of kernel[grid](...), specialises and compiles. In
place of a GPU's driver it finds RecordingDriver (driver.py), which writes launches down. In place
of torch the candidate finds torch_names.py: tensors have shape, type and a fake address, and
nothing that computes.

The candidate's code runs in this process and can change all of it, so the output is only the
candidate's word: whoever starts the process isolates it and validates what it leaves. Pointers
are known from Triton's signature. A number that was made from an address is none to the recorder;
it differs between two recordings with different bases, and the plans with it.
"""
import importlib.util
import json
import sys
import traceback
from pathlib import Path

import triton
from triton.compiler.errors import CompilationError
from triton.runtime.driver import driver as triton_driver

from assay_triton import torch_names
from assay_triton.driver import RecordingDriver
from assay_triton.recording import Recording, Refused
from assay_triton.tensor import DTYPES, Tensor

CANDIDATE = Path("candidate.py")


def make_arguments(request, recording):
    arguments = []
    tensors = 0
    for argument in request["arguments"]:
        if "scalar" in argument:
            arguments.append(argument["scalar"])
            continue
        shape, kind = argument["tensor"]["shape"], DTYPES[argument["tensor"]["dtype"]]
        tensor = Tensor(recording, 0, shape, kind)
        address = recording.add_argument(tensors, tensor.numel() * kind.itemsize)
        arguments.append(Tensor(recording, address, shape, kind))
        tensors += 1
    return arguments


def load_candidate():
    spec = importlib.util.spec_from_file_location("candidate", CANDIDATE.resolve())
    module = importlib.util.module_from_spec(spec)
    sys.modules["candidate"] = module
    spec.loader.exec_module(module)
    return module


def line_of(error):
    """The innermost line of the candidate's own file that `error` came through; 0: none."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    if isinstance(error, CompilationError) and error.node is not None and error.src:
        before, found, _ = CANDIDATE.read_text().partition(error.src)
        if found:
            return before.count("\n") + error.node.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if Path(frame.filename).name == CANDIDATE.name]
    return lines[-1] if lines else 0


def innermost(error):
    """The compile error that others were raised from (a helper's, below its caller's)."""
    while isinstance(error, CompilationError) and isinstance(error.__cause__, CompilationError):
        error = error.__cause__
    return error


def explain(error):
    error = innermost(error)
    if isinstance(error, Refused):
        return Refused(error.reason, error.explanation, line_of(error))
    if isinstance(error, (SyntaxError, CompilationError)):
        message = getattr(error, "error_message", None) or error.__cause__ or error
        return Refused("compile_error", str(message), line_of(error))
    if isinstance(error, SystemExit):
        return Refused("exit", "the candidate ended the process instead of returning",
                       line_of(error))
    return Refused("exception", f"{type(error).__name__}: {error}", line_of(error))


def record(request, recording, driver):
    torch_names.install(recording)
    triton_driver.set_active(driver)
    arguments = make_arguments(request, recording)
    solve = getattr(load_candidate(), "solve", None)
    if not callable(solve):
        recording.refuse("no_solve", "candidate.py defines no function solve")
    solve(*arguments)
    if recording.refusal is not None:
        raise recording.refusal
    if not any("launch" in operation for operation in recording.operations):
        recording.refuse("no_operations", "solve() returned without launching a Triton kernel")


def write_kernels(images):
    description = []
    for number, image in enumerate(images):
        Path(f"kernel_{number}.ptx").write_text(image.ptx)
        Path(f"kernel_{number}.cubin").write_bytes(image.cubin)
        description.append({"label": image.label, "symbol": image.symbol,
                            "parameters": image.layout, "divisible_by_16": image.divisible_by_16})
    Path("kernels.json").write_text(json.dumps({"triton": triton.__version__,
                                                "kernels": description}))


def main():
    request = json.loads(Path("request.json").read_text())
    recording = Recording(request["base"])
    driver = RecordingDriver(recording, request["device"])
    try:
        record(request, recording, driver)
    except BaseException as error:
        refusal = explain(recording.refusal or error)
        where = f"{CANDIDATE.name}:{refusal.line}: " if refusal.line else ""
        Path("failure").write_text(f"{refusal.reason}\n{where}{refusal.explanation}")
        return
    write_kernels(driver.images)
    Path("plan.json").write_text(json.dumps(recording.plan()))


if __name__ == "__main__":
    main()
