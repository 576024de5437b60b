"""Parameters: arguments of one launch as the bytes that the kernel finds in its parameter buffer."""
import struct

from assay_triton import tensor_maps

_FORMATS = {"i1": "<b", "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q",
            "u1": "<B", "u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q",
            "fp16": "<e", "fp32": "<f", "fp64": "<d"}


class Parameters:
    """Packs values in signature order, each aligned to its own size."""

    def __init__(self, recording, lowered_descriptors):
        """`lowered_descriptors`: for every tensor descriptor among the arguments what Triton made
        of it, None where the code loads and stores through a plain pointer."""
        self._recording = recording
        self._lowered_descriptors = iter(lowered_descriptors)
        self.data = bytearray()
        self.relocations = []
        self.tensor_maps = []
        self.layout = []  # {"offset", "bytes"} of every parameter
        self.numbers = {}  # of the parameter that an argument became, by its place in the signature

    def add(self, kind, value, place):
        """`kind` as Triton's signature names it; constants take no room, tuples are flattened."""
        self.numbers[place] = len(self.layout)
        if isinstance(kind, tuple):
            for number, (part, element) in enumerate(zip(kind, value)):
                self.add(part, element, place + (number,))
        elif kind == "constexpr":
            del self.numbers[place]
        elif kind.startswith("tensordesc"):
            self._add_descriptor(value, next(self._lowered_descriptors, None))
        else:
            self._add_one(kind, value)

    def _add_one(self, kind, value):
        if kind.startswith("*"):
            self.add_pointer(value.data_ptr())
        elif kind == "bf16":
            # Triton's own launcher cuts the lower half of the float off.
            self._append(struct.pack("<f", value)[2:])
        elif kind in _FORMATS:
            self._append(struct.pack(_FORMATS[kind], value))
        else:
            self._recording.refuse("unsupported_call",
                                   f"kernel arguments of type {kind} are not recorded")

    def add_pointer(self, address):
        """0 is the null pointer of unused scratch; anything else must lie in an allocation."""
        offset = self._append(bytes(8))
        if address != 0:
            self.relocations.append({"offset": offset, "target": self._locate(address)})

    def _add_descriptor(self, descriptor, lowered):
        """A tensor map, or pointer, shape, strides and flags; then shape and strides again."""
        if lowered is None:
            self.add_pointer(descriptor.base.data_ptr())
            for number in (*descriptor.shape, *descriptor.strides):
                self._add_one("i64", number)
            if hasattr(descriptor, "padding"):  # since 3.5
                self._add_one("i1", descriptor.padding == "nan")
            if hasattr(descriptor, "round_f32_to_tf32"):  # since 3.9
                self._add_one("i1", descriptor.round_f32_to_tf32)
        elif lowered["fp4_padded"] or lowered.get("is_im2col"):
            self._recording.refuse("unsupported_call", "tensor descriptors of 4-bit numbers and of "
                                   "images are not recorded")
        else:
            offset = self._append(bytes(tensor_maps.BYTES), tensor_maps.ALIGNMENT)
            base = self._locate(descriptor.base.data_ptr())
            self.tensor_maps.append(
                {"offset": offset, "base": base, **tensor_maps.describe(descriptor, lowered)})
        for number in descriptor.shape:
            self._add_one("i32", number)
        for number in descriptor.strides:
            self._add_one("i64", number)

    def _locate(self, address):
        target = self._recording.locate(address)
        if target is None:
            self._recording.refuse("invalid_argument",
                                   "a kernel got a pointer to memory that is neither a tensor of "
                                   "the task nor one that solve() allocated")
        return target

    def _append(self, data, alignment=None):
        alignment = alignment or len(data)
        offset = -(-len(self.data) // alignment) * alignment
        self.data.extend(bytes(offset - len(self.data)))
        self.data.extend(data)
        self.layout.append({"offset": offset, "bytes": len(data)})
        return offset
