"""Tensor and dtype: torch's names for shape, type and place of device memory, without its data."""
import math

_COMPUTING = ("add sub mul truediv floordiv mod pow matmul and or xor lshift rshift "
              "radd rsub rmul rtruediv rfloordiv rmod rpow rmatmul rand ror rxor "
              "iadd isub imul itruediv ifloordiv imod ipow imatmul iand ior ixor "
              "neg pos abs invert lt le gt ge eq ne").split()
_READING = "bool int float index iter".split()


class dtype:
    def __init__(self, name, itemsize):
        self.name = name
        self.itemsize = itemsize

    def __repr__(self):
        return f"torch.{self.name}"  # Triton reads the type from this


DTYPES = {name: dtype(name, size) for name, size in {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint32": 4, "bool": 1}.items()}


def contiguous_strides(shape):
    return tuple(math.prod(shape[i + 1:]) for i in range(len(shape)))


class Tensor:
    """A view of one allocation: `address` is that of its first element; strides in elements."""

    def __init__(self, recording, address, shape, kind, strides=None):
        self._recording = recording
        self._address = address
        self.shape = tuple(shape)
        self.dtype = kind
        self.device = "cuda:0"
        self.is_cuda = True
        self._strides = contiguous_strides(self.shape) if strides is None else tuple(strides)

    @property
    def ndim(self):
        return len(self.shape)

    def dim(self):
        return self.ndim

    def data_ptr(self):
        return self._address

    def element_size(self):
        return self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def numel(self):
        return math.prod(self.shape)

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]

    def stride(self, dim=None):
        return self._strides if dim is None else self._strides[dim]

    def is_contiguous(self):
        expected = contiguous_strides(self.shape)
        return self.numel() == 0 or all(
            size == 1 or have == want
            for size, have, want in zip(self.shape, self._strides, expected))

    def contiguous(self):
        if not self.is_contiguous():
            self._refuse_computing("contiguous() of a tensor that is not contiguous")
        return self

    def view(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if not self.is_contiguous():
            self._refuse_computing("view() of a tensor that is not contiguous")
        known = math.prod(size for size in shape if size != -1)
        if list(shape).count(-1) == 1 and known > 0:
            shape = [self.numel() // known if size == -1 else size for size in shape]
        if any(size < 0 for size in shape) or math.prod(shape) != self.numel():
            raise RuntimeError(f"a tensor of shape {list(self.shape)} has no view of shape "
                               f"{list(shape)}")
        return Tensor(self._recording, self._address, shape, self.dtype)

    reshape = view

    def transpose(self, first, second):
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return Tensor(self._recording, self._address, [self.shape[i] for i in order], self.dtype,
                      [self._strides[i] for i in order])

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse_computing(f"Tensor.{name}")

    def _refuse_computing(self, call):
        self._recording.refuse("torch_call", f"{call} is not available: a candidate's result must "
                               "come from its own Triton kernels")

    def _refuse_reading(self, call):
        self._recording.refuse("host_read_back", f"{call} reads device memory on the host: solve() "
                               "runs on a machine without a GPU")

    def item(self):
        self._refuse_reading("Tensor.item")

    def tolist(self):
        self._refuse_reading("Tensor.tolist")

    def cpu(self):
        self._refuse_reading("Tensor.cpu")

    __hash__ = object.__hash__


def _operator(name, refuse):
    def refused(self, *operands):
        refuse(self, f"Tensor.__{name}__")
    return refused


for _name in _COMPUTING:
    setattr(Tensor, f"__{_name}__", _operator(_name, Tensor._refuse_computing))
for _name in _READING:
    setattr(Tensor, f"__{_name}__", _operator(_name, Tensor._refuse_reading))
