"""Tensor maps: what the bulk copy engine of sm_90 knows of a host's tensor descriptor, in the terms
of cuTensorMapEncodeTiled. The judge encodes them, with its own addresses."""

BYTES = 128
ALIGNMENT = 64

_L2_PROMOTION_128B = 2
_FILL_WITH_NAN = 1  # CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA
_TFLOAT32 = 11
# Triton numbers the element types as the device does, CUtensorMapDataType has another order.
_DATA_TYPES = {8: 10, 9: 8, 10: 9}


def describe(descriptor, lowered):
    """`lowered`: "swizzle", "elem_size", "elem_type" and "block_size" of the code."""
    rank = len(descriptor.shape)
    data_type = _DATA_TYPES.get(lowered["elem_type"], lowered["elem_type"])
    if getattr(descriptor, "round_f32_to_tf32", False):
        data_type = _TFLOAT32
    strides = [lowered["elem_size"] * step for step in descriptor.strides[:-1]]
    with_nan = getattr(descriptor, "padding", "zero") == "nan"
    return {"data_type": data_type,
            "rank": rank,
            "dimensions": list(descriptor.shape)[::-1],
            "strides_bytes": strides[::-1],
            "box": list(lowered["block_size"])[::-1],
            "element_strides": [1] * rank,
            "interleave": 0,
            "swizzle": lowered["swizzle"],
            "l2_promotion": _L2_PROMOTION_128B,
            "oob_fill": _FILL_WITH_NAN if with_nan else 0}
