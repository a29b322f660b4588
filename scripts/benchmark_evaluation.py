"""What does judging cost? Embeddings a second against a plain loop, and the cost of a probe that is added.

    python scripts/benchmark_evaluation.py

The plain loop calls the library that runs a recognizer, one crop after the other, as its own documentation does; both
take turns on the same crops of scikit-image's astronaut (public domain). The second table compares 100, 1,000 and
10,000 made-up probes of 100 people with their galleries, by `veilkey.evaluation.scores`.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable

import click
import cv2
import numpy as np
import skimage.data
from tqdm import tqdm

from veilkey import recognizers
from veilkey.evaluation.scores import Distance, Impostors, compare, strangers
from veilkey.faces import FaceFinder
from veilkey.recognizers import Recognizer, store

CROPS = 16
ROUNDS = 5
PEOPLE, DIMENSION = 100, 512


def plain_dlib() -> Callable[[np.ndarray], object]:
    import dlib

    network = dlib.face_recognition_model_v1(str(store.model_file("dlib")))
    return lambda crop: network.compute_face_descriptor(crop)


def plain_facenet() -> Callable[[np.ndarray], object]:
    network = cv2.dnn.readNetFromTensorflow(str(store.model_file("facenet")))
    return lambda crop: _forward(network, cv2.dnn.blobFromImage(crop, 1 / 128, mean=(127.5, 127.5, 127.5)))


def plain_mobilefacenet() -> Callable[[np.ndarray], object]:
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(str(store.model_file("mobilefacenet")), num_threads=1)
    network.allocate_tensors()
    place, result = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]

    def embed(crop: np.ndarray) -> object:
        # The file holds a batch of two.
        network.set_tensor(place, np.stack([(crop.astype(np.float32) - 127.5) / 128] * 2))
        network.invoke()
        return network.get_tensor(result)[0]

    return embed


def plain_sface() -> Callable[[np.ndarray], object]:
    network = cv2.dnn.readNetFromONNX(str(store.model_file("sface")))
    return lambda crop: _forward(network, cv2.dnn.blobFromImage(crop), "data")


def _forward(network: cv2.dnn.Net, blob: np.ndarray, name: str = "") -> np.ndarray:
    network.setInput(blob, name)
    return network.forward()


PLAIN = {
    "dlib": plain_dlib,
    "facenet": plain_facenet,
    "mobilefacenet": plain_mobilefacenet,
    "sface": plain_sface,
}


@click.command()
def main() -> None:
    portrait = skimage.data.astronaut()
    landmarks = FaceFinder().find(portrait)[0].landmarks
    random = np.random.default_rng(0)
    click.echo("| embeddings a second | veilkey | plain loop | ratio |\n|---|---|---|---|")
    for name in tqdm(recognizers.installed(), "recognizers", leave=False):
        judge, plain = recognizers.get(name), PLAIN[name]()
        crop = judge.align(portrait, landmarks).astype(np.int16)
        noise = random.integers(-8, 9, (CROPS, *crop.shape))
        ours, theirs = turns(judge, plain, np.clip(crop + noise, 0, 255).astype(np.uint8))
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        rates = [CROPS / statistics.median(times) for times in (ours, theirs)]
        click.echo(f"| {name} | {rates[0]:.0f} | {rates[1]:.0f} | {_range(ratios)} |")

    click.echo("\n| probes | microseconds a probe | peak memory, MB |\n|---|---|---|")
    galleries = random.standard_normal((PEOPLE, DIMENSION)).astype(np.float32)
    distance = recognizers.get("sface").distance
    for count in (100, 1000, 10_000):
        probes, owners = random.standard_normal((count, DIMENSION)).astype(np.float32), np.arange(count) % PEOPLE
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            _judge(distance, probes, owners, galleries)
            times.append(1e6 * (time.perf_counter() - start) / count)
        tracemalloc.start()
        _judge(distance, probes, owners, galleries)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        click.echo(f"| {count} | {_range(times)} | {memory / 1e6:.1f} |")


def turns(
    judge: Recognizer, plain: Callable[[np.ndarray], object], crops: np.ndarray
) -> tuple[list[float], list[float]]:
    """Seconds for all crops, by the recognizer and by the plain loop, in each of ROUNDS rounds."""
    ours: list[float] = []
    theirs: list[float] = []
    for turn in range(ROUNDS + 1):
        for times in (ours, theirs) if turn % 2 else (theirs, ours):
            start = time.perf_counter()
            if times is ours:
                judge.embed(crops)
            else:
                for crop in crops:
                    plain(crop)
            times.append(time.perf_counter() - start)
    return ours[1:], theirs[1:]


def _judge(distance: Distance, probes: np.ndarray, owners: np.ndarray, galleries: np.ndarray) -> None:
    compare(distance, probes, owners, galleries, impostors=Impostors(1.0))
    strangers(distance, probes, owners, Impostors(1.0))


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} / {statistics.median(values):.3g} / {max(values):.3g}"


if __name__ == "__main__":
    main()
