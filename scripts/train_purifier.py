"""Train one more purifier on what veilkey does now, to be in the loop from then on.

    python scripts/train_purifier.py ../shared/data/faces/train runs/purifier --photos 300

Protects photos of FACES at standard strength against all recognizers, with the purifiers that ship in the loop, and
trains a purifier on these pairs as the attack `purify` does. Writes perturbation_gen/weights/purifier-N.h5 (float16), N
the next number. Started again with the same folder it goes on where it was stopped. About half an hour on two cores.
"""

from pathlib import Path

import click

from perturbation_gen.purifier import SIDE, WEIGHTS, shipped
from veilkey import recognizers
from veilkey.evaluation.attacks import purifier
from veilkey.evaluation.attacks.others import count, find_others
from veilkey.evaluation.cases import make_case
from veilkey.evaluation.methods import DEFAULT_SSIM
from veilkey.evaluation.photos import Photos
from veilkey.evaluation.work import Plan
from veilkey.weights import save_weights

NOBODY = Photos((), (), (), ())
JOBS = 2


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--photos", default=300, show_default=True)
def main(faces: Path, run: Path, photos: int) -> None:
    attacked = recognizers.targets("all")
    before = shipped()
    path = WEIGHTS / f"purifier-{len(before) + 1}.h5"
    # A folder for each, as photos are protected otherwise once one more is in the loop.
    folder = run / path.stem
    others = find_others(faces, faces, NOBODY, Plan((), (), (), 0, folder), JOBS)
    pairs = others.pairs(make_case("veilkey-standard", attacked, DEFAULT_SSIM), photos, SIDE)
    trained = purifier.train(pairs, attacked, folder / "backup", JOBS)
    save_weights(
        trained.purifier,
        path,
        command=f"python scripts/train_purifier.py ../shared/data/faces/train runs/purifier --photos {photos}",
        data=f"{count(pairs)}, of train, attacked: {', '.join(attacked)}",
        in_the_loop=", ".join(each.stem for each in before) or "none",
        seed=0,
        parameters=trained.purifier.count_params(),
        cosine_before=float(trained.before.mean()),
        cosine_after=float(trained.after.mean()),
    )
    click.echo(
        f"{path.name}: cosine to the original, held-out people, {trained.before.mean():.2f} before, "
        f"{trained.after.mean():.2f} after"
    )


if __name__ == "__main__":
    main()
