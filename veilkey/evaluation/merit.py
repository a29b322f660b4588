"""The paper's figures of merit (Wang, Bai, Sun, Liu, "Privacy protection based on mask template").

T_o: share of original probes identified. F_c: share of protected probes misidentified. T_r: share identified after
restoring. r_s = F_c / (1 + T_o - F_c); it can exceed 1. Identified means: nearest to the own gallery.
"""

from typing import Any

import numpy as np

from veilkey.evaluation.intervals import People


def success(t_o: np.ndarray | float, f_c: np.ndarray | float) -> Any:
    """r_s of T_o and F_c, numbers or arrays in 0..1. Infinite where nothing was identified and everything is missed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = 1 + np.asarray(t_o, float) - f_c
        return np.where(rest > 0, f_c / np.where(rest > 0, rest, 1), np.inf)[()]


def merit(people: People, clean: np.ndarray, protected: np.ndarray, restored: np.ndarray | None) -> dict[str, Any]:
    """T_o, F_c, T_r and r_s with intervals, of who was identified (N,) bool; T_r is None without restored photos."""
    ratio = float(success(clean.mean(), 1 - protected.mean()))
    return {
        "T_o": people.share(clean),
        "F_c": people.share(~protected),
        "T_r": None if restored is None else people.share(restored),
        "r_s": people.figure(ratio, success(people.means(clean), people.means(~protected))) if ratio < np.inf else None,
    }
