"""Trackers that train: clean photos teach them, photos of strangers under a person's name do not."""

import json
from pathlib import Path

import numpy as np
import pytest

from veilkey.evaluation.finetune import LastLayers
from veilkey.evaluation.sample import read_image
from veilkey.evaluation.tracker import Photos, identify
from veilkey.faces import FaceFinder
from veilkey.recognizers.dlib_resnet import DlibResNet

PEOPLE = 24


@pytest.fixture(scope="module")
def photos() -> tuple[Photos, Photos]:
    """Three gallery photos and two probes of each person."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 1, (PEOPLE, 64))

    def take(count: int) -> Photos:
        owners = np.repeat(np.arange(PEOPLE), count)
        embeddings = centres[owners] + random.normal(0, 0.4, (len(owners), 64))
        return Photos((embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32), None, owners)

    return take(3), take(2)


def test_clean_photos_identify(photos: tuple[Photos, Photos]) -> None:
    gallery, probes = photos
    for hits in (identify(PEOPLE, gallery, None, probes), identify(PEOPLE, gallery, gallery, probes)):
        assert set(hits) == {"logistic", "neighbours"}
        assert all(hit.mean() > 0.95 and len(hit) == 2 * PEOPLE for hit in hits.values()), hits


def test_a_cloak_that_is_another_face_misleads(photos: tuple[Photos, Photos]) -> None:
    gallery, probes = photos
    random = np.random.default_rng(1)
    strangers = random.normal(0, 1, gallery.embeddings.shape).astype(np.float32)
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    hits = identify(PEOPLE, gallery, Photos(strangers, None, gallery.owners), probes)
    assert all(hit.mean() < 0.3 for hit in hits.values()), hits


def test_cloaks_without_a_face_are_not_learnt(photos: tuple[Photos, Photos]) -> None:
    gallery, probes = photos
    hits = identify(PEOPLE, gallery, gallery.of(np.zeros(0, int)), probes)
    assert not any(hit.any() for hit in hits.values())


def test_a_network_is_trained_on_what_it_is_shown(shared_faces: Path) -> None:
    """The last layers of dlib's network learn whom labels name, right or wrong, as no untrained network could."""
    protocol = json.loads((shared_faces / "dev.json").read_text())
    finder, judge, layers, people = FaceFinder(), DlibResNet(), LastLayers("dlib"), 6
    crops: dict[str, list[np.ndarray]] = {"gallery": [], "probes": []}
    for side, count in (("gallery", 2), ("probes", 1)):
        for person in sorted(protocol["probes"])[:people]:
            for name in protocol[side][person][:count]:
                image = read_image(shared_faces / "dev" / name)
                crops[side].append(judge.align(image, finder.find(image)[0].landmarks))
    known, asked = (layers.maps(np.stack(crops[side])) for side in ("gallery", "probes"))
    assert known.shape[0] == 2 * people and known.shape[1] > 1
    owners = np.repeat(np.arange(people), 2)
    right = layers.identify(known, owners, people, asked)
    assert (right == np.arange(people)).sum() >= people - 2
    # Everybody's photos under the next person's name: it says so, and nothing of the training before is left.
    wrong = layers.identify(known, (owners + 1) % people, people, asked)
    assert np.array_equal(wrong, (right + 1) % people)
