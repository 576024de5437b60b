"""Dtype: an element type with torch's name and the name that tasks and plans use."""


class Dtype:
    def __init__(self, name, itemsize, task_name):
        self.name = name
        self.itemsize = itemsize
        self.task_name = task_name  # what tasks and plans call it
        self.is_floating_point = "float" in name

    def __repr__(self):
        return f"torch.{self.name}"  # Triton reads the type from this


DTYPES = {name: Dtype(name, size, task_name) for name, size, task_name in [
    ("float64", 8, "f64"), ("float32", 4, "f32"), ("float16", 2, "f16"), ("bfloat16", 2, "bf16"),
    ("float8_e4m3fn", 1, "e4m3"), ("float8_e5m2", 1, "e5m2"), ("int64", 8, "i64"),
    ("int32", 4, "i32"), ("int16", 2, "i16"), ("int8", 1, "i8"), ("uint8", 1, "u8"),
    ("uint32", 4, "u32"), ("bool", 1, "bool")]}
DTYPE_OF_TASK = {kind.task_name: kind for kind in DTYPES.values()} | {"tf32": DTYPES["float32"]}
# Shorter names that types have in torch; tensors have methods of these names.
SHORT_NAMES = {"float": "float32", "half": "float16", "double": "float64", "int": "int32",
               "long": "int64", "short": "int16"}
