"""Weights that ship: float16 in an HDF5 file, with what made them in its attributes."""

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np


def save_weights(model: keras.Model, path: Path, **facts: Any) -> None:
    """Write all variables of `model` as float16, in order, and `facts` (strings or numbers) as attributes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs.update(facts)
        for index, variable in enumerate(model.variables):
            values = np.asarray(keras.ops.convert_to_numpy(variable))
            if np.issubdtype(values.dtype, np.floating):
                file.create_dataset(f"{index:03d}", data=values.astype(np.float16), compression="gzip", shuffle=True)


def load_weights(model: keras.Model, path: Path) -> keras.Model:
    """Put what `save_weights` wrote into a model of the same architecture, and return it.

    Raises ValueError when the file holds other shapes.
    """
    with h5py.File(path, "r") as file:
        for index, variable in enumerate(model.variables):
            if f"{index:03d}" not in file:
                continue
            values = file[f"{index:03d}"][()].astype(np.float32)
            if values.shape != tuple(variable.shape):
                raise ValueError(f"{path.name} does not fit: {variable.path} is {variable.shape}, not {values.shape}")
            variable.assign(values)
    return model
