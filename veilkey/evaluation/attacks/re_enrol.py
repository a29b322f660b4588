"""The tracker gets hold of protected photos, too, and knows whose they are."""

from veilkey.errors import NoFace
from veilkey.evaluation import scores
from veilkey.evaluation.attacks.base import Attack, Field, Result


class ReEnrol(Attack):
    """Enrolment of cloaked photos, the answer of trackers to Fawkes (Radiya-Dixit, Hong, Carlini, Tramer, "Data
    poisoning won't save you from facial recognition", 2022): the gallery gains the protected versions of its photos,
    and new protected probes are held against both. If protected photos of a person resemble one another, this finds
    them."""

    name = "re-enrol"

    def run(self, field: Field) -> list[Result]:
        photos, made = field.measured.photos, field.gallery(one_each=False)
        if not made:
            raise NoFace("the method protects none of the gallery photos, so there is nothing to enrol")
        both = [(known, known.digest) for known in photos.gallery] + made
        owners = photos.owners([known for known, _ in both])
        after = {}
        for base in field.measured.grounds:
            enrolled = field.measured.embeddings.of(base.judge, [digest for _, digest in both], [k for k, _ in both])
            own = scores.templates(enrolled, owners, len(photos.names))
            after[base.judge] = field.match(base, field.probes, field.digests(field.probes), own=own)
        note = f"galleries gain {len(made)} protected photos"
        return [Result("galleries with protected photos, too", field.probes, after, note)]
