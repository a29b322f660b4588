"""A flat HDF5 file in memory: a few named one-dimensional arrays, written compactly and read with suspicion.

The HDF5 library is asked only where things are and what they claim to be. The data itself never passes through its
filters, virtual datasets or external files: each array is one chunk, deflated where that makes it smaller, which is cut
from the bytes here and inflated up to the declared size and no further.
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
_DEFLATED, _AS_IT_IS = 0b00, 0b11  # a chunk's mask has a bit for every filter that was left out


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
            if not array.size:  # HDF5 has no chunk of size 0
                file.create_dataset(name, data=array)
                continue
            filters = {"shuffle": True, "compression": "gzip"}
            dataset = file.create_dataset(name, array.shape, array.dtype, chunks=array.shape, **filters)
            plain = array.tobytes()
            deflated = zlib.compress(_transposed(plain, array.size, array.itemsize))
            if len(deflated) < len(plain):
                dataset.id.write_direct_chunk((0,), deflated, _DEFLATED)
            else:
                dataset.id.write_direct_chunk((0,), plain, _AS_IT_IS)
    return buffer.getvalue()


def _transposed(values: bytes, rows: int, columns: int) -> bytes:
    """The bytes of a matrix column by column: what HDF5 calls shuffling, and its inverse."""
    if rows == 1 or columns == 1:
        return values
    return np.frombuffer(values, np.uint8).reshape(rows, columns).T.tobytes()


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
        """The array called ``name``: read-only, one-dimensional, of exactly ``dtype`` and at most ``limit`` long."""
        self._check_link(name)
        dataset = h5d.open(self._root, name.encode())
        shape = dataset.shape
        if len(shape) != 1 or shape[0] > limit:
            raise DamagedKey(f"the key declares {shape} values of {name!r}, not up to {limit}; get it again")
        if dataset.get_type() != h5t.py_create(dtype) or h5a.get_num_attrs(dataset):
            raise DamagedKey(f"{name!r} in the key is not of the expected type; get the key file again")
        if shape[0] == 0:
            return np.empty(0, dtype)
        return np.frombuffer(self._values(name, dataset, shape[0], dtype.itemsize), dtype)

    def _check_link(self, name: str) -> None:
        link = self._root.links.get_info(name.encode())
        if link.type != h5l.TYPE_HARD or h5o.get_info(self._root, name.encode()).type != h5o.TYPE_DATASET:
            raise DamagedKey(f"{name!r} in the key is not a plain dataset; get the key file again")

    def _values(self, name: str, dataset: h5d.DatasetID, count: int, itemsize: int) -> bytes:
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
        stored = self._data[chunk.byte_offset : chunk.byte_offset + chunk.size]
        size = count * itemsize
        if chunk.filter_mask == _AS_IT_IS and len(stored) == size:
            return stored
        inflater = zlib.decompressobj()
        # One byte more than is due: a longer stream shows itself without being inflated.
        values = inflater.decompress(stored, size + 1)
        if chunk.filter_mask != _DEFLATED or len(values) != size or not inflater.eof or inflater.unused_data:
            raise DamagedKey(f"{name!r} in the key is not as long as it says; get the key file again")
        return _transposed(values, itemsize, count)
