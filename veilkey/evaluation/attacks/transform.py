"""Process the photo as the world does, in the hope that the change does not last."""

from functools import cache

from tqdm import tqdm

from veilkey.evaluation import transforms
from veilkey.evaluation.attacks.base import Attack, Field, Result
from veilkey.evaluation.work import Bench, Known


class Transform(Attack):
    """Input transformations as a defence (Guo, Rana, Cisse, van der Maaten, "Countering adversarial images using input
    transformations", 2018), all those of `veilkey.evaluation.transforms`: JPEG 90, 75, 50, half size and back, blur,
    median, crop, the resampling of a screenshot, grey."""

    name = "transform"

    def run(self, field: Field) -> list[Result]:
        before, known = field.digests(field.probes), field.known(field.probes)
        jobs = list(zip(known, before, strict=True))
        bar = tqdm(field.pool.map(_through_all, jobs), self.name, len(jobs), unit="photo", leave=False, disable=None)
        for _ in bar:
            pass
        return [Result(name, field.probes, field.matches(field.probes, before, name)) for name in transforms.names()]


def _through_all(bench: Bench, job: tuple[Known, str]) -> None:
    known, digest = job
    picture = cache(lambda: bench.store.picture(digest))
    for name in transforms.names():
        bench.embed(digest, name, known.box, cache(lambda name=name: transforms.get(name)(picture())))
