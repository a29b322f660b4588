"""Reader for dlib's serialized networks (the .dat files), as far as its face ResNet uses the format.

The format: an integer is a control byte (low four bits: number of bytes that follow, high bit: negative) and its bytes,
least significant first; a string is its length and its bytes; a tensor is the integer 2, its four dimensions and its
values as 32-bit floats, least significant byte first. A layer starts with a string that names its type, and its
parameters follow as one tensor.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Layer:
    """Parameters of one layer: `kind` is "con", "affine" or "fc"; `values` is float32, flat, in dlib's order."""

    kind: str
    values: np.ndarray


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def integer(self) -> int:
        control = self.data[self.position]
        length = control & 15
        if control & 0x70 or not 1 <= length <= 8:
            raise ValueError(f"no integer at byte {self.position}")
        start = self.position + 1
        self.position = start + length
        value = int.from_bytes(self.data[start : self.position], "little")
        return -value if control & 0x80 else value

    def tensor(self) -> np.ndarray:
        if self.integer() != 2:
            raise ValueError(f"no tensor at byte {self.position}")
        count = int(np.prod([self.integer() for _ in range(4)]))
        end = self.position + 4 * count
        if not 0 < count or end > len(self.data):
            raise ValueError(f"a tensor of {count} values at byte {self.position} goes past the file's end")
        values = np.frombuffer(self.data, "<f4", count, self.position)
        self.position = end
        return values


# The type strings with their length in front, as they stand in the file, and whether numbers of the layer (fc: outputs,
# inputs, bias mode and a flag of the weights' alias) precede its tensor.
_TAGS = {b"\x01\x05con_4": ("con", 0), b"\x01\x07affine_": ("affine", 0), b"\x01\x04fc_2": ("fc", 2)}


def read_layers(path: Path) -> list[Layer]:
    """All layers with parameters, from the input to the output.

    Raises ValueError when the file is not such a network.
    """
    reader = _Reader(path.read_bytes())
    layers = []
    while True:
        found = [(at, tag) for tag in _TAGS if (at := reader.data.find(tag, reader.position)) >= 0]
        if not found:
            break
        at, tag = min(found)
        kind, numbers = _TAGS[tag]
        reader.position = at + len(tag)
        for _ in range(numbers):
            reader.integer()
        layers.append(Layer(kind, reader.tensor()))
    if [layer.kind for layer in layers].count("fc") != 1:
        raise ValueError(f"{path.name} is not dlib's face recognition ResNet")
    return layers
