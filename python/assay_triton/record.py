"""Theory of operation

One process records one candidate for one case, twice, and needs no GPU and no torch:

    python -m assay_triton.record      (the current folder holds input and takes output)

    candidate.py    the candidate; solve(tensors and scalars in the order of the task)
    request.json    {"arguments": [{"tensor": {"dtype", "shape"}} | {"scalar": number}],
                     "device": {"arch": "sm_80", "shared_bytes", "multiprocessors"},
                     "choice": numbers of the configurations of triton.autotune,
                     "bases": where the fake addresses of each recording begin}
 -> N.plan.json     a launch plan (docs/launch-plan.md), with relocations and without addresses
    N.kernels.json  of every kernel that the plan names: layout of the parameters, and which of
                    them the code assumes to be divisible by 16
    N.module.ptx    all these kernels (module.py)
 or N.failure       a reason, a line feed, a sentence
 and N.tuners.json  the kernels of triton.autotune and their configurations (autotune.py)

N is the number of the recording, 0 or 1. Triton is imported once; each recording has a process
of its own, forked before anything of the candidate's is there. What fails before that is nobody's
fault but ours, and any status but UNWRITABLE says so.

Triton runs unchanged but for its last step: it binds the arguments of kernel[grid](...),
specialises and compiles to PTX, which whoever wants machine code assembles. In place of a GPU's
driver it finds RecordingDriver (driver.py), which writes launches down. In place of torch the
candidate finds torch_names.py: tensors have shape, type and a fake address, and nothing that
computes.

The candidate's code runs in these processes and can change all of them, so the output is only the
candidate's word: whoever starts the process isolates it, validates what it leaves, and compares
the two recordings. Pointers are known from Triton's signature. A number that was made from an
address is none to the recorder; it differs between the recordings, and the plans with it.
"""
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path

import triton
from triton.compiler.errors import CompilationError
from triton.runtime.errors import OutOfResources
from triton.runtime.driver import driver as triton_driver

from assay_triton import autotune, compiler, torch_names
from assay_triton.driver import RecordingDriver
from assay_triton.dtypes import DTYPE_OF_TASK
from assay_triton.module import merge
from assay_triton.recording import Recording, Refused
from assay_triton.tensor import Tensor

CANDIDATE = Path("candidate.py")
UNWRITABLE = 3  # kUnwritableStatus of evaluator/record/setup.h


def make_arguments(request, recording):
    arguments = []
    tensors = 0
    for argument in request["arguments"]:
        if "scalar" in argument:
            arguments.append(argument["scalar"])
            continue
        shape, kind = argument["tensor"]["shape"], DTYPE_OF_TASK[argument["tensor"]["dtype"]]
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
    if isinstance(error, OutOfResources):
        return Refused("launch_limits", str(error), line_of(error))
    if isinstance(error, SystemExit):
        return Refused("exit", "the candidate ended the process instead of returning",
                       line_of(error))
    return Refused("exception", f"{type(error).__name__}: {error}", line_of(error))


class Setup:
    """What a recording needs besides the candidate."""

    def __init__(self, request, number):
        self.recording = Recording(request["bases"][number])
        self.driver = RecordingDriver(self.recording, request["device"])
        self.arguments = make_arguments(request, self.recording)
        self.tuners = autotune.Tuners(self.recording, request["choice"])


def record(setup):
    recording = setup.recording
    torch_names.install(recording)
    triton_driver.set_active(setup.driver)
    autotune.install(setup.tuners)
    solve = getattr(load_candidate(), "solve", None)
    if not callable(solve):
        recording.refuse("no_solve", "candidate.py defines no function solve")
    solve(*setup.arguments)
    if recording.refusal is not None:
        raise recording.refusal
    if not any("launch" in operation for operation in recording.operations):
        recording.refuse("no_operations", "solve() returned without launching a Triton kernel")


def describe(images):
    return json.dumps({"kernels": [{"label": image.label, "parameters": image.layout,
                                    "divisible_by_16": image.divisible_by_16}
                                   for image in images]})


def write(number, name, text):
    Path(f"{number}.{name}").write_text(text)


def record_once(setup, number):
    try:
        record(setup)
    except BaseException as error:
        refusal = explain(setup.recording.refusal or error)
        where = f"{CANDIDATE.name}:{refusal.line}: " if refusal.line else ""
        write(number, "tuners.json", json.dumps(setup.tuners.found))
        write(number, "failure", f"{refusal.reason}\n{where}{refusal.explanation}")
        return
    write(number, "tuners.json", json.dumps(setup.tuners.found))
    write(number, "module.ptx", merge(setup.driver.images, CANDIDATE.name))
    write(number, "kernels.json", describe(setup.driver.images))
    write(number, "plan.json", json.dumps(setup.recording.plan()))


def fork_recording(setup, number):
    child = os.fork()
    if child != 0:
        return child
    if number > 0:  # what the candidate prints is wanted once
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    record_once(setup, number)
    sys.stdout.flush()
    os._exit(0)


def explain_end(number, status):
    """Writes down how a recording ended that left nothing itself."""
    if Path(f"{number}.plan.json").exists() or Path(f"{number}.failure").exists():
        return
    if os.WIFSIGNALED(status):
        write(number, "failure", f"crash\nsolve() was ended by signal {os.WTERMSIG(status)}")
    else:
        write(number, "failure",
              "exit\nthe candidate ended the process instead of returning from solve()")


def main():
    compiler.adapt()
    request = json.loads(Path("request.json").read_text())
    setups = [Setup(request, number) for number in range(len(request["bases"]))]
    pass_on_the_turn = compiler.take_turns()
    children = [fork_recording(setup, number) for number, setup in enumerate(setups)]
    try:
        for _ in children:
            child, status = os.wait()
            pass_on_the_turn()
            explain_end(children.index(child), status)
    except OSError:
        sys.exit(UNWRITABLE)


if __name__ == "__main__":
    main()
