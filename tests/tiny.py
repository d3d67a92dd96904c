"""A model of one layer, byte by byte, in the form in which one that needs cleaning comes from upstream."""

from __future__ import annotations

import numpy as np
import onnxruntime


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def value_info(name: bytes, *sizes: int | bytes) -> bytes:
    shape = b"".join(field(1, field(2 if isinstance(size, bytes) else 1, size)) for size in sizes)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def tiny_model(*values: bytes) -> bytes:
    """Return an ONNX model of y = x * w * w, where w is 3, with these inputs, outputs and inner values."""
    times = [
        field(1, left) + field(1, b"w") + field(2, right) + field(4, b"Mul")
        for left, right in ((b"x", b"t"), (b"t", b"y"))
    ]
    weight = field(1, 1) + field(2, 1) + field(8, b"w") + field(9, np.float32(3).tobytes())
    graph = b"".join(field(1, node) for node in times) + field(2, b"tiny") + field(5, weight) + b"".join(values)
    return field(1, 4) + field(7, graph) + field(8, field(1, b"") + field(2, 13))


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


FIXED = (10, 3, 32, 32)
TINY = tiny_model(
    field(11, value_info(b"x", *FIXED)),
    field(11, value_info(b"w", 1)),
    field(12, value_info(b"y", *FIXED)),
    field(13, value_info(b"t", *FIXED)),
)
