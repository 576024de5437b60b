"""The memset operation that fills a tensor without gaps."""
import struct

_PATTERNS = {"float64": "<d", "float32": "<f", "float16": "<e", "int64": "<q", "int32": "<i",
             "int16": "<h", "int8": "<b", "uint8": "<B", "uint32": "<I", "bool": "<?"}


def memset(recording, tensor, value):
    kind = tensor.dtype
    if value == 0:
        pattern = bytes(1)
    elif kind.name == "bfloat16":
        pattern = struct.pack("<f", value)[2:]
    elif kind.name in _PATTERNS and kind.itemsize <= 4:
        pattern = struct.pack(_PATTERNS[kind.name], value)
    else:
        recording.refuse("torch_call", f"tensors of {kind} can only be filled with zero")
    return {"target": recording.locate(tensor.data_ptr()),
            "value": int.from_bytes(pattern, "little"), "element_bytes": len(pattern),
            "width_bytes": tensor.numel() * kind.itemsize}
