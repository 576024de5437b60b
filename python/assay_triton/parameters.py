"""Parameters: arguments of one launch as the bytes that the kernel finds in its parameter buffer."""
import struct

_FORMATS = {"i1": "<b", "i8": "<b", "i16": "<h", "i32": "<i", "i64": "<q",
            "u1": "<B", "u8": "<B", "u16": "<H", "u32": "<I", "u64": "<Q",
            "fp16": "<e", "fp32": "<f", "fp64": "<d"}


class Parameters:
    """Packs values in signature order, each aligned to its own size."""

    def __init__(self, recording):
        self._recording = recording
        self.data = bytearray()
        self.relocations = []
        self.layout = []  # {"offset", "bytes"} of every parameter

    def add(self, kind, value):
        """`kind` as Triton's signature names it; constants take no room, tuples are flattened."""
        if isinstance(kind, tuple):
            for part, element in zip(kind, value):
                self.add(part, element)
        elif kind == "constexpr":
            return
        elif kind.startswith("*"):
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
        if address == 0:
            return
        target = self._recording.locate(address)
        if target is None:
            self._recording.refuse("invalid_argument",
                                   "a kernel got a pointer to memory that is neither a tensor of "
                                   "the task nor one that solve() allocated")
        self.relocations.append({"offset": offset, "target": target})

    def _append(self, data):
        offset = -(-len(self.data) // len(data)) * len(data)
        self.data.extend(bytes(offset - len(self.data)))
        self.data.extend(data)
        self.layout.append({"offset": offset, "bytes": len(data)})
        return offset
