"""A flat HDF5 file in memory: a few named one-dimensional arrays, written compactly and read with suspicion.

The HDF5 library is asked only where things are and what they claim to be. The data itself never passes through its
filters, virtual datasets or external files: each array is one deflated chunk, which is cut from the bytes here and
inflated up to the declared size and no further.
"""

import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5fd, h5l, h5o, h5p, h5t, h5z
from numpy.typing import NDArray

from keys.errors import DamagedKey, KeyFileError

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE]


def write(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The one-dimensional ``arrays`` as an HDF5 file; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5fd.fileobj_driver, buffer)
    # The 1.10 format indexes a single chunk in 16 bytes, where the default format spends two kilobytes.
    access.set_libver_bounds(h5f.LIBVER_V110, h5f.LIBVER_V110)
    creation = h5p.create(h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    with h5py.File(h5f.create(b"key", h5f.ACC_TRUNC, fcpl=creation, fapl=access)) as file:
        for name, array in arrays.items():
            if array.size:
                file.create_dataset(name, data=array, chunks=array.shape, shuffle=True, compression="gzip")
            else:  # HDF5 has no chunk of size 0
                file.create_dataset(name, data=array)
    return buffer.getvalue()


@contextmanager
def reading(data: bytes) -> Iterator["Reader"]:
    """Opens ``data`` for reading; whatever goes wrong inside the block leaves it as ``DamagedKey``."""
    try:
        # HDF5 also looks for its signature further into a file; offsets would then not be offsets into `data`.
        if not data.startswith(_SIGNATURE):
            raise DamagedKey("the key holds no HDF5 file; get the key file again")
        with h5py.File(io.BytesIO(data), "r") as file:
            yield Reader(data, file)
    except KeyFileError:
        raise
    except Exception as error:  # h5py maps the library's failures to nearly every built-in exception
        raise DamagedKey("the contents of the key cannot be read; get the key file again") from error


class Reader:
    """The arrays of one open file, each read only if it is exactly what the caller expects."""

    def __init__(self, data: bytes, file: h5py.File) -> None:
        self._data = data
        self._root = file.id

    def expect_only(self, names: set[str]) -> None:
        """Raises ``DamagedKey`` unless the file holds these arrays and nothing else."""
        if self._root.get_num_objs() != len(names) or h5a.get_num_attrs(self._root):
            raise DamagedKey("the key holds more or less than a key does; get the key file again")
        for name in names:
            self._check_link(name)

    def read(self, name: str, dtype: np.dtype[Any], limit: int) -> NDArray[Any]:
        """The array called ``name``: writable, one-dimensional, of exactly ``dtype`` and at most ``limit`` long."""
        self._check_link(name)
        dataset = h5d.open(self._root, name.encode())
        shape = dataset.shape
        if len(shape) != 1 or shape[0] > limit:
            raise DamagedKey(f"the key declares {shape} values of {name!r}, not up to {limit}; get it again")
        if dataset.get_type() != h5t.py_create(dtype) or h5a.get_num_attrs(dataset):
            raise DamagedKey(f"{name!r} in the key is not of the expected type; get the key file again")
        if shape[0] == 0:
            return np.empty(0, dtype)
        shuffled = np.frombuffer(self._inflate(name, dataset, shape[0] * dtype.itemsize), np.uint8)
        return shuffled.reshape(dtype.itemsize, shape[0]).T.copy().view(dtype).reshape(-1)

    def _check_link(self, name: str) -> None:
        link = self._root.links.get_info(name.encode())
        if link.type != h5l.TYPE_HARD or h5o.get_info(self._root, name.encode()).type != h5o.TYPE_DATASET:
            raise DamagedKey(f"{name!r} in the key is not a plain dataset; get the key file again")

    def _inflate(self, name: str, dataset: h5d.DatasetID, size: int) -> bytes:
        plan = dataset.get_create_plist()
        plain = (
            plan.get_layout() == h5d.CHUNKED
            and plan.get_chunk() == dataset.shape
            and [plan.get_filter(i)[0] for i in range(plan.get_nfilters())] == _FILTERS
            and dataset.get_num_chunks() == 1
        )
        if not plain:
            raise DamagedKey(f"{name!r} in the key is stored in an unexpected way; get the key file again")
        chunk = dataset.get_chunk_info(0)
        inflater = zlib.decompressobj()
        # One byte more than is due: a longer stream shows itself without being inflated.
        values = inflater.decompress(self._data[chunk.byte_offset : chunk.byte_offset + chunk.size], size + 1)
        if chunk.filter_mask or len(values) != size or not inflater.eof or inflater.unused_data:
            raise DamagedKey(f"{name!r} in the key is not as long as it says; get the key file again")
        return values
