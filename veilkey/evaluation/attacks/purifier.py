"""How a purifier is trained. Imports TensorFlow."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tqdm.keras import TqdmCallback

from perturbation_gen.purifier import SIDE
from perturbation_gen.purifier_model import build_purifier
from perturbation_gen.target import load_space
from veilkey import recognizers
from veilkey.evaluation.attacks.others import Pair
from veilkey.faces import compose, invert

# Five to ten minutes on two cores, whatever the number of pairs; it is kept after every epoch.
EPOCHS = 15
STEPS = 60
BATCH = 16
RATE = 2e-3
# Grey levels that a cosine of 1 counts.
IDENTITY_WEIGHT = 10.0
# Every so many people's pairs are kept from training, to see that it learned.
HELD_OUT = 10


def build_look(name: str) -> keras.Model:
    """A recognizer's port on crops: image (N, 128, 128, 3), warp (N, 8) -> where it sees the face, unit vectors (N, D).

    warp: the projective transform, output to input, from the recognizer's input to the crop.
    """
    space, port = load_space(name), recognizers.port_builder(name)(None)
    port.trainable = False
    size = port.inputs[0].shape[1]
    image, warp = keras.Input((SIDE, SIDE, 3)), keras.Input((8,))
    # A warped picture is as large as the one that it is made of, and inputs may be larger than the crop.
    room = max(0, size - SIDE)
    padded = ops.pad(image, [(0, 0), (0, room), (0, room), (0, 0)], mode="symmetric")
    embedding = port(ops.image.affine_transform(padded, warp, fill_mode="nearest")[:, :size, :size])
    if space.angular:
        embedding = ops.normalize(embedding)
    return keras.Model([image, warp], ops.normalize(embedding - ops.convert_to_tensor(space.mean)))


class Training(keras.Model):
    """What is trained: the purifier, held to the originals' grey levels (its loss) and identities (added).

    Each recognizer looks at its share of a batch, so that several cost no more than one.
    """

    def __init__(self, purifier: keras.Model, looks: Sequence[keras.Model]) -> None:
        super().__init__()
        self.purifier, self.looks = purifier, list(looks)

    def call(self, photos: dict[str, keras.KerasTensor], training: bool | None = None) -> keras.KerasTensor:
        """What `inputs_of` gives to (N, 128, 128, 3) float32."""
        cleaned = self.purifier(ops.cast(photos["protected"], "float32"), training=training)
        count = len(self.looks)
        for number, look in enumerate(self.looks):
            seen = look([cleaned[number::count], photos[f"warp{number}"][number::count]])
            cosine = ops.sum(seen * photos[f"wanted{number}"][number::count], -1)
            self.add_loss(IDENTITY_WEIGHT / count * ops.mean(1 - cosine))
        return cleaned


@dataclass(frozen=True)
class Trained:
    """A purifier; `before` and `after` (M,): cosine of held-out protected and purified faces to the originals, the mean
    over recognizers. people: (M,), whose they are."""

    purifier: keras.Model
    before: np.ndarray
    after: np.ndarray
    people: list[str]


def train(pairs: Sequence[Pair], attacked: Sequence[str], folder: Path, threads: int) -> Trained:
    """Train a purifier on pairs in crops of 128 pixels, without every tenth person's, and try it on those.

    folder: where it goes on after it was stopped.
    """
    with suppress(RuntimeError):  # Too late where TensorFlow is at work in this process already.
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    keras.utils.set_random_seed(0)
    apart = set(sorted({pair.person for pair in pairs})[::HELD_OUT])
    looks = [build_look(name) for name in attacked]
    purifier = build_purifier()
    known = [pair for pair in pairs if pair.person not in apart]
    fit(Training(purifier, looks), *inputs_of(known, attacked, looks), folder)
    unknown = [pair for pair in pairs if pair.person in apart]
    photos, _ = inputs_of(unknown, attacked, looks)
    before = photos["protected"].astype(np.float32)
    after = np.clip(np.rint(purifier.predict(before, BATCH, verbose=0)), 0, 255)
    people = [pair.person for pair in unknown]
    return Trained(purifier, cosines(before, photos, looks), cosines(after, photos, looks), people)


def inputs_of(
    pairs: Sequence[Pair], attacked: Sequence[str], looks: Sequence[keras.Model]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """protected (N, 128, 128, 3) uint8, and a recognizer's warp{i} (N, 8) and wanted{i} (N, D), where it sees the
    originals; second, the originals."""
    originals = np.stack([pair.original for pair in pairs])
    photos = {"protected": np.stack([pair.protected for pair in pairs])}
    for number, (name, look) in enumerate(zip(attacked, looks, strict=True)):
        judge = recognizers.get(name)
        ways = [compose(pair.transform, invert(judge.transform(pair.landmarks))) for pair in pairs]
        warps = np.stack([[*way.ravel(), 0, 0] for way in ways]).astype(np.float32)
        photos[f"warp{number}"] = warps
        photos[f"wanted{number}"] = look.predict([originals.astype(np.float32), warps], BATCH, verbose=0)
    return photos, originals


def cosines(images: np.ndarray, photos: dict[str, np.ndarray], looks: Sequence[keras.Model]) -> np.ndarray:
    """Cosine (N,) of what the recognizers see in images (N, 128, 128, 3) float32 to what they want, their mean."""
    seen = [look.predict([images, photos[f"warp{n}"]], BATCH, verbose=0) for n, look in enumerate(looks)]
    return np.mean([(each * photos[f"wanted{n}"]).sum(-1) for n, each in enumerate(seen)], 0)


def fit(training: Training, photos: dict[str, np.ndarray], originals: np.ndarray, folder: Path) -> list[float]:
    """Train on pairs and their mirror images; the loss of each epoch that was run."""
    rows = tf.data.Dataset.from_tensor_slices(with_mirrored(photos, originals))
    batches = rows.shuffle(2 * len(originals), seed=0).repeat().batch(BATCH, drop_remainder=True)
    rate = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * STEPS)
    training.compile(keras.optimizers.Adam(rate), "mean_absolute_error", jit_compile=False)
    # What is restored has to be there.
    training({name: values[: len(training.looks)] for name, values in photos.items()})
    training.optimizer.build(training.trainable_variables)
    history = training.fit(
        batches,
        epochs=EPOCHS,
        steps_per_epoch=STEPS,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False),
            TqdmCallback(EPOCHS, verbose=0, desc="training a purifier", leave=False),
        ],
    )
    return history.history.get("loss", [])


def with_mirrored(photos: dict[str, np.ndarray], originals: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Twice as many inputs. Recognizers see mirrored crops turned back, so they want to see what they saw."""
    both = {}
    for name, values in photos.items():
        other = values
        if name == "protected":
            other = values[:, :, ::-1]
        elif name.startswith("warp"):
            other = values * np.array([-1, -1, -1, 1, 1, 1, 1, 1], np.float32)
            other[:, 2] += SIDE - 1
        both[name] = np.concatenate([values, other])
    return both, np.concatenate([originals, originals[:, :, ::-1]])
