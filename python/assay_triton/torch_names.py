"""The module that a candidate gets for `import torch`: types and allocation; every other name is
refused when it is called, with a sentence that says which one it was."""
import importlib.abc
import importlib.machinery
import math
import sys
import types

from assay_triton.dtypes import DTYPES, SHORT_NAMES, Dtype
from assay_triton.strides import dense_strides
from assay_triton.tensor import Tensor


class _Name(types.ModuleType):
    """A name of torch that is not offered; names below it are such names too."""

    def __init__(self, name, recording):
        super().__init__(name)
        self.__path__ = []
        self._recording = recording

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(f"{self.__name__}.{name}", self._recording)

    def __call__(self, *arguments, **keywords):
        self._recording.refuse("torch_call", f"{self.__name__} is not available: a candidate's "
                               "result must come from its own Triton kernels; of torch there are "
                               "types, empty, empty_like, zeros, zeros_like and full")


class _Submodules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """`import torch.nn.functional as F` succeeds; calling something of it is refused."""

    def __init__(self, recording):
        self._recording = recording

    def find_spec(self, name, path, target=None):
        if name.startswith("torch."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return _Name(spec.name, self._recording)

    def exec_module(self, module):
        pass


def install(recording):
    """Puts the stand-in where `import torch` finds it."""
    torch = _Name("torch", recording)
    vars(torch).update(DTYPES, Tensor=Tensor, dtype=Dtype, device=lambda name, index=0: name)
    vars(torch).update({short: DTYPES[name] for short, name in SHORT_NAMES.items()})

    def empty(*shape, dtype=torch.float32, device="cuda"):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        address = recording.add_scratch(math.prod(shape) * dtype.itemsize)
        return Tensor(recording, address, shape, dtype)

    def full(shape, value, dtype=torch.float32, device="cuda"):
        return empty(shape, dtype=dtype).fill_(value)

    def zeros(*shape, dtype=torch.float32, device="cuda"):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return full(shape, 0, dtype)

    def empty_like(tensor, dtype=None, device="cuda"):
        kind = dtype or tensor.dtype
        address = recording.add_scratch(tensor.numel() * kind.itemsize)
        return Tensor(recording, address, tensor.shape, kind,
                      dense_strides(tensor.shape, tensor.stride()))

    def zeros_like(tensor, dtype=None, device="cuda"):
        return empty_like(tensor, dtype).zero_()

    for function in (empty, full, zeros, empty_like, zeros_like):
        setattr(torch, function.__name__, function)
    sys.modules["torch"] = torch
    sys.meta_path.insert(0, _Submodules(recording))
