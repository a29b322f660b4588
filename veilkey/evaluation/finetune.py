"""A recognizer's network with its last layers trained on photos of people: what a tracker with few photos would do.

Everything up to the network's last map of features stays; what follows, and a layer that tells people apart, is
trained. That layer starts from people's mean embeddings, so that training goes on from what the recognizer knows.
"""

import os
from typing import Any

import numpy as np

from veilkey import recognizers

EPOCHS = 15
BATCH = 16
RATE = 1e-4
# Cosines become logits; 16 is what the literature on margin losses starts from.
SCALE = 16.0


class LastLayers:
    """The trainable end of one recognizer's network, loaded once for many trainings; needs TensorFlow."""

    def __init__(self, judge: str) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras

        port = recognizers.port_builder(judge)(None)
        outputs = keras.tree.flatten([operation.output for operation in port.operations])
        cut = [each for each in outputs if len(each.shape) == 4 and each.shape[1] > 1][-1]
        self._body = keras.Model(port.input, cut)
        self._end = keras.Model(cut, port.output)
        for layer in self._end.layers:
            layer.trainable = True
        self._start = self._end.get_weights()

    def maps(self, crops: np.ndarray) -> np.ndarray:
        """Last maps of features (N, h, w, C) float32 of aligned crops (N, S, S, 3) uint8 RGB."""
        return np.concatenate(
            [
                np.asarray(self._body(crops[start : start + BATCH].astype(np.float32)))
                for start in range(0, len(crops), BATCH)
            ]
        )

    def identify(self, known: np.ndarray, owners: np.ndarray, people: int, asked: np.ndarray) -> np.ndarray:
        """Train on maps `known` of people `owners`, and say whose the maps `asked` are: numbers (N,)."""
        import keras

        keras.utils.set_random_seed(0)
        self._end.set_weights(self._start)
        unit = keras.layers.UnitNormalization()
        telling = keras.layers.Dense(people, use_bias=False)
        features = unit(self._end.output)
        network = keras.Model(self._end.input, telling(features) * SCALE)
        telling.set_weights([_means(np.asarray(keras.Model(self._end.input, features)(known)), owners, people).T])
        network.compile(keras.optimizers.Adam(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        network.fit(known, owners, batch_size=BATCH, epochs=EPOCHS, verbose=0)
        return np.asarray(network(asked)).argmax(1)


def _means(features: np.ndarray, owners: np.ndarray, people: int) -> np.ndarray:
    """Mean features of each person (people, D), of length 1; 0 for who has no photo."""
    sums: Any = np.zeros((people, features.shape[1]), np.float32)
    np.add.at(sums, owners, features)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
