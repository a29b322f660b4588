"""Train a network to clean protected photos."""

import hashlib
import shutil
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from perturbation_gen.purifier import SIDE
from veilkey.evaluation.attacks.base import Field
from veilkey.evaluation.attacks.canonical import add, cut, to_canonical
from veilkey.evaluation.attacks.each_photo import Learned, PhotoAttack, Victim
from veilkey.evaluation.attacks.others import Pair, count, digest
from veilkey.evaluation.intervals import People
from veilkey.evaluation.store import Key
from veilkey.models import cache_folder

PAIRS = 500
# A cosine that rises by less on photos it was not trained on, at the low end of the interval, was not raised.
LEAST_RISE = 0.05


class Purify(PhotoAttack):
    """Liao, Liang, Dong, Pang, Hu, Zhu, "Defense against adversarial attacks using high-level representation guided
    denoiser", 2018: a U-Net learns to take a change off from pairs of protected and original, guided by what a network
    sees in the result. Here it sees aligned faces of 128 pixels, of 500 photos of other people, and is guided by the
    difference in grey levels and by the attacked recognizers' embeddings.

    A purifier that learned to do nothing would look like a method that resists, so it is first tried on pairs of people
    whom it was not trained on. It is trained anew for every method and setting.
    """

    name = "purify"
    titles = {"network": "purified by a network trained on pairs"}

    def learn(self, field: Field) -> Learned:
        pairs = field.others.pairs(field.case, PAIRS, SIDE)
        key = ("purifier", self.version, field.attacked, digest(pairs))
        if len({pair.person for pair in pairs}) < 2:
            return Learned(key, "proves nothing: photos of two other people at least are needed", works=False)
        trial = field.measured.store.figures((*key, "trial"), lambda: _train(pairs, field, key))
        people = People(trial["people"])
        before, after = (people.mean(np.array(trial[side])) for side in ("before", "after"))
        rise = people.mean(np.array(trial["after"]) - trial["before"])
        works = rise["low"] >= LEAST_RISE
        note = (
            f"trained on {count(pairs)}, {len(trial['people'])} of which were held out: the similarity (cosine) to the "
            f"original {'rose' if works else 'went'} from {_shown(before)} to {_shown(after)} there"
        )
        return Learned(key, note if works else f"proves nothing, the network did not learn: {note}", works)

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        assert victim.learned is not None
        image, to_face = victim.protected.image, to_canonical(victim.protected.face, SIDE)
        seen = cut(image, to_face, SIDE).astype(np.float32)
        (cleaned,) = _session(victim.learned.tobytes()).run(None, {"input0": seen[None]})
        return {"network": add(image, to_face, cleaned[0] - seen)}


def _train(pairs: Sequence[Pair], field: Field, key: Key) -> dict[str, Any]:
    """Train, keep the network as ONNX under `key`, and say how it did on the pairs that were held out."""
    from perturbation_gen.purifier_model import build_purifier
    from veilkey.evaluation.attacks import purifier
    from veilkey.export import export_network

    name = hashlib.sha256(str(key).encode()).hexdigest()[:16]
    folder = (field.others.plan.store or cache_folder() / "evaluation") / f"purifier-{name}"
    trained = purifier.train(pairs, field.attacked, folder, field.others.jobs)
    network = build_purifier(batch_size=1)
    network.set_weights(trained.purifier.get_weights())
    export_network(network, folder / "purifier.onnx")
    field.measured.store.array(key, lambda: np.fromfile(folder / "purifier.onnx", np.uint8))
    shutil.rmtree(folder)
    return {"before": trained.before.tolist(), "after": trained.after.tolist(), "people": trained.people}


@lru_cache(1)
def _session(network: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


def _shown(figure: dict[str, Any]) -> str:
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]"
