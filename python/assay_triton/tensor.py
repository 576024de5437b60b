"""Tensor: torch's names for shape, type and place of device memory, without its data.

Views are new tensors of the same memory. contiguous(), to(), clone() and copy_() become element
copies of the plan, made by the judge's own kernel, and nothing where torch copies nothing; fill_()
and zero_() become memsets. All that would compute is refused.
"""
import math

from assay_triton.dtypes import DTYPES, SHORT_NAMES, Dtype
from assay_triton.memset import memset
from assay_triton.strides import contiguous_strides, dense_strides, view_strides

_COMPUTING = ("add sub mul truediv floordiv mod pow matmul and or xor lshift rshift "
              "radd rsub rmul rtruediv rfloordiv rmod rpow rmatmul rand ror rxor "
              "iadd isub imul itruediv ifloordiv imod ipow imatmul iand ior ixor "
              "neg pos abs invert lt le gt ge eq ne").split()
_READING = "bool int float index".split()
_MOST_COPIED_AXES = 8  # ElementGrid::kMaxRank of evaluator/plan/element_grid.h


class Tensor:
    """A view of one allocation: `address` is that of its first element; strides in elements."""

    def __init__(self, recording, address, shape, kind, strides=None):
        self._recording = recording
        self._address = address
        self.shape = tuple(shape)
        self.dtype = kind
        self.device = "cuda:0"
        self.is_cuda = True
        self.requires_grad = False
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

    def is_floating_point(self):
        return self.dtype.is_floating_point

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

    # ---- views

    def view(self, *shape):
        if isinstance(shape[0], Dtype):
            return self._reinterpreted(shape[0])
        shape = self._whole_shape(_flat(shape))
        strides = view_strides(self.shape, self._strides, shape)
        if strides is None:
            raise RuntimeError(f"a tensor of shape {list(self.shape)} and strides "
                               f"{list(self._strides)} has no view of shape {list(shape)}: use "
                               "reshape()")
        return self._view(shape, strides)

    def reshape(self, *shape):
        shape = self._whole_shape(_flat(shape))
        strides = view_strides(self.shape, self._strides, shape)
        return self.contiguous().view(shape) if strides is None else self._view(shape, strides)

    def flatten(self, start_dim=0, end_dim=-1):
        if self.ndim == 0:
            return self.view(1)
        first, last = self._axis(start_dim), self._axis(end_dim)
        return self.reshape(*self.shape[:first], math.prod(self.shape[first:last + 1]),
                            *self.shape[last + 1:])

    def permute(self, *order):
        order = [self._axis(axis) for axis in _flat(order)]
        if sorted(order) != list(range(self.ndim)):
            raise RuntimeError(f"{order} is no order of {self.ndim} axes")
        return self._view([self.shape[axis] for axis in order],
                          [self._strides[axis] for axis in order])

    def transpose(self, first, second):
        order = list(range(self.ndim))
        order[first], order[second] = order[second], order[first]
        return self.permute(order)

    def t(self):
        if self.ndim > 2:
            raise RuntimeError(f"t() takes at most 2 axes, the tensor has {self.ndim}")
        return self.T

    T = property(lambda self: self.permute(list(range(self.ndim))[::-1]))
    mT = property(lambda self: self.transpose(-2, -1))

    def unsqueeze(self, dim):
        return self[(slice(None),) * (dim % (self.ndim + 1)) + (None,)]

    def squeeze(self, dim=None):
        wanted = range(self.ndim) if dim is None else [self._axis(dim)]
        kept = [axis for axis in range(self.ndim) if self.shape[axis] != 1 or axis not in wanted]
        return self._view([self.shape[axis] for axis in kept],
                          [self._strides[axis] for axis in kept])

    def expand(self, *shape):
        shape = _flat(shape)
        new = len(shape) - self.ndim
        sizes, strides = (1,) * new + self.shape, (0,) * new + self._strides
        shape = [have if want == -1 else want for want, have in zip(shape, sizes)]
        if new < 0 or any(have not in (1, want) for want, have in zip(shape, sizes)):
            raise RuntimeError(f"a tensor of shape {list(self.shape)} does not expand to "
                               f"{list(shape)}")
        return self._view(shape, [step if have == want else 0
                                  for want, have, step in zip(shape, sizes, strides)])

    def __getitem__(self, index):
        shape, strides, offset, axis = [], [], 0, 0
        for part in self._one_part_an_axis(index):
            if part is None:
                shape.append(1)
                strides.append(self.shape[axis] * self._strides[axis] if axis < self.ndim else 1)
                continue
            size, step = self.shape[axis], self._strides[axis]
            axis += 1
            if isinstance(part, slice):
                taken = range(*part.indices(size))
                if taken.step < 0:
                    raise ValueError("the step of a slice must be positive")
                shape.append(len(taken))
                strides.append(step * taken.step)
                offset += step * taken.start if len(taken) else 0
            elif -size <= part < size:
                offset += step * (part % size)
            else:
                raise IndexError(f"index {part} is out of range for an axis of size {size}")
        return self._view(shape, strides, offset)

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    # ---- copies

    def copy_(self, source, non_blocking=False):
        if not isinstance(source, Tensor):
            self._refuse_computing("Tensor.copy_ of something that is no tensor")
        source = source.expand(self.shape)
        there = (self._address, self._strides, self.dtype)
        if self.numel() == 0 or there == (source._address, source._strides, source.dtype):
            return self
        if self.ndim > _MOST_COPIED_AXES:
            self._recording.refuse("unsupported_call", "tensors of more than "
                                   f"{_MOST_COPIED_AXES} axes are not copied")
        locate = self._recording.locate
        self._recording.add_operation({"element_copy": {
            "shape": self.shape,
            "target": locate(self._address), "target_dtype": self.dtype.task_name,
            "target_strides": self._strides,
            "source": locate(source._address), "source_dtype": source.dtype.task_name,
            "source_strides": source._strides}})
        return self

    def fill_(self, value):
        if isinstance(value, Tensor):
            self._refuse_computing("Tensor.fill_ with a tensor")
        if self.numel() == 0:
            return self
        if self._strides != dense_strides(self.shape, self._strides):  # gaps stay as they are
            one = self._recording.add_scratch(self.dtype.itemsize)
            return self.copy_(Tensor(self._recording, one, (), self.dtype).fill_(value))
        self._recording.add_operation({"memset": memset(self._recording, self, value)})
        return self

    def zero_(self):
        return self.fill_(0)

    def __setitem__(self, index, value):
        if isinstance(value, Tensor):
            self[index].copy_(value)
        else:
            self[index].fill_(value)

    def contiguous(self):
        if self.is_contiguous():
            return self
        return self._copied(self.dtype, contiguous_strides(self.shape))

    def clone(self):
        return self._copied(self.dtype, dense_strides(self.shape, self._strides))

    def to(self, *wanted, dtype=None, device=None, non_blocking=False, copy=False):
        flags = []
        for value in wanted:
            if isinstance(value, Tensor):
                dtype, device = value.dtype, value.device
            elif isinstance(value, Dtype):
                dtype = value
            elif isinstance(value, bool):
                flags.append(value)  # non_blocking, copy
            else:
                device = value
        if device is not None and not str(device).startswith("cuda"):
            self._refuse_reading("Tensor.to of another device")
        if dtype in (None, self.dtype) and not copy and flags[1:] != [True]:
            return self
        return self._copied(dtype or self.dtype, dense_strides(self.shape, self._strides))

    def cuda(self):
        return self

    def detach(self):
        return self

    def _copied(self, kind, strides):
        address = self._recording.add_scratch(self.numel() * kind.itemsize)
        return Tensor(self._recording, address, self.shape, kind, strides).copy_(self)

    # ---- what views are made with

    def _view(self, shape, strides, offset=0):
        return Tensor(self._recording, self._address + offset * self.dtype.itemsize, shape,
                      self.dtype, strides)

    def _reinterpreted(self, kind):
        if kind.itemsize != self.dtype.itemsize:
            self._recording.refuse("unsupported_call", "view() as a type of another size is not "
                                   "recorded")
        return Tensor(self._recording, self._address, self.shape, kind, self._strides)

    def _axis(self, number):
        if not -self.ndim <= number < self.ndim:
            raise IndexError(f"there is no axis {number}: the tensor has {self.ndim}")
        return number % self.ndim

    def _whole_shape(self, shape):
        """`shape` with the size that -1 stands for."""
        known = math.prod(size for size in shape if size != -1)
        if shape.count(-1) == 1 and known > 0:
            shape = tuple(self.numel() // known if size == -1 else size for size in shape)
        if any(size < 0 for size in shape) or math.prod(shape) != self.numel():
            raise RuntimeError(f"a tensor of shape {list(self.shape)} has no view of shape "
                               f"{list(shape)}")
        return shape

    def _one_part_an_axis(self, index):
        """The parts of an index with whole slices for all axes that it leaves out."""
        parts = index if isinstance(index, tuple) else (index,)
        for part in parts:
            if isinstance(part, bool) or not isinstance(part, (int, slice, type(None),
                                                               type(Ellipsis))):
                self._refuse_computing(f"indexing by {type(part).__name__}")
        before = next((place for place, part in enumerate(parts) if part is Ellipsis), len(parts))
        after = parts[before + 1:]
        left_out = self.ndim - sum(part is not None for part in parts[:before] + after)
        if left_out < 0 or any(part is Ellipsis for part in after):
            raise IndexError(f"too many indices for a tensor of {self.ndim} axes")
        return parts[:before] + (slice(None),) * left_out + after

    # ---- what a stand-in has not

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


def _flat(numbers):
    """view(2, 3) and view((2, 3)) are the same."""
    return tuple(numbers[0] if len(numbers) == 1 and isinstance(numbers[0], (tuple, list))
                 else numbers)


def _conversion(name):
    return lambda self: self.to(DTYPES[name])


def _operator(name, refuse):
    def refused(self, *operands):
        refuse(self, f"Tensor.__{name}__")
    return refused


for _short, _name in {**SHORT_NAMES, "bfloat16": "bfloat16", "bool": "bool"}.items():
    setattr(Tensor, _short, _conversion(_name))
for _name in _COMPUTING:
    setattr(Tensor, f"__{_name}__", _operator(_name, Tensor._refuse_computing))
for _name in _READING:
    setattr(Tensor, f"__{_name}__", _operator(_name, Tensor._refuse_reading))
