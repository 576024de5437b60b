"""Strides of views, in elements: what torch says of a tensor's layout, without a tensor."""
import math


def contiguous_strides(shape):
    return tuple(math.prod(max(size, 1) for size in shape[axis + 1:])
                 for axis in range(len(shape)))


def dense_strides(shape, strides):
    """Of a copy: without gaps, its axes in the order of `strides` (torch's preserve_format)."""
    if 0 in shape or any(step == 0 and size > 1 for size, step in zip(shape, strides)):
        return contiguous_strides(shape)
    outermost_first = sorted(range(len(shape)), key=lambda axis: -strides[axis])
    dense, step = [0] * len(shape), 1
    for axis in reversed(outermost_first):
        dense[axis] = step
        step *= shape[axis]
    return tuple(dense)


def view_strides(shape, strides, new_shape):
    """Of the same elements under `new_shape` (of as many elements); None: only a copy has it."""
    if 0 in shape:
        return contiguous_strides(new_shape)
    runs = []  # (elements, step) of neighbouring axes that are one in memory
    for size, step in zip(shape, strides):
        if runs and runs[-1][1] == size * step:
            runs[-1] = (runs[-1][0] * size, step)
        elif size > 1:
            runs.append((size, step))
    viewed, left, step = [], 1, 1
    for size in reversed(new_shape):
        if left == 1 and size > 1:
            left, step = runs.pop()
        if left % size != 0:
            return None
        viewed.append(step)
        left, step = left // size, step * size
    return tuple(reversed(viewed))
