"""`veilkey demo`: the whole way there and back on one photo, and one picture of it."""

import time
from collections.abc import Callable
from pathlib import Path

from veilkey import api
from veilkey.carriers import encode_png, open_photo, read_file
from veilkey.carriers.noise import window
from veilkey.errors import CheckFailed
from veilkey.files import write_new
from veilkey.issuing import Issued, complete, seal
from veilkey.pictures import GAIN, difference, paint_template, side_by_side
from veilkey.restorer import restore_file

PASSPHRASE = b"a passphrase for the demo only"


def run(photo: Path | None, output: Path, say: Callable[[str], None]) -> None:
    """Protect `photo` (or scikit-image's astronaut), restore it, say what was measured, and draw it to `output`."""
    from keys import keyring
    from keys.recipients import PassphraseIdentity, PassphraseRecipient
    from veilkey.protector import Settings

    data = read_file(photo) if photo else _portrait()
    original = open_photo(photo or data)
    protector = api.protector()
    start = time.perf_counter()
    protected, payload, faces = protector.protect(original, Settings())
    payload = complete(data, original, protected, payload, exact=False, name="", modified=0)
    seconds = time.perf_counter() - start
    key = seal(protected, payload, [Issued(PassphraseRecipient(PASSPHRASE))])
    file = open_photo(protected.encode())
    restored = restore_file(file, keyring.unseal(key, PassphraseIdentity(PASSPHRASE)))
    again = open_photo(restored.data).picture
    if (restored.exact and restored.data != data) or again.digest() != original.picture.digest():
        raise CheckFailed("the restored photo is not the original: please report this")

    size = f"{original.picture.width}x{original.picture.height}"
    say(f"{photo or 'public-domain portrait of an astronaut'}: {size}, {len(faces)} face(s)")
    for number, face in enumerate(faces, 1):
        say(f"face {number}: similarity to the eye {face.ssim:.3f} of 1 (SSIM of the face box)")
        for judge, seen in face.recognizers.items():
            verdict = "STILL THE SAME PERSON" if seen.matches else "not the same person"
            say(f"  {judge}: original and its mirror image: distance {seen.before:.2f}, the same person")
            say(f"  {judge}: original and protected:        distance {seen.after:.2f}, {verdict}")
            say(f"  (under {seen.threshold:.2f} it says: the same person)")
    say(f"protected in {seconds:.1f} s; key: {len(key)} bytes, AES-256-GCM, sealed for a passphrase")
    say("restored: identical" + (", byte for byte" if restored.exact else ""))

    first = payload.faces[0]
    area = window(first.region)
    before, after = original.picture.rgb()[area], file.picture.rgb()[area]
    panels = [
        ("original", before),
        ("template", paint_template(before, first)),
        ("protected", after),
        (f"difference x{GAIN}", difference(before, after)),
        ("restored", again.rgb()[area]),
    ]
    write_new([(output, encode_png(side_by_side(panels)))], force=True)
    say(f"see {output}")


def _portrait() -> bytes:
    """The portrait of Eileen Collins that scikit-image carries, as a PNG file; NASA, public domain."""
    import skimage.data

    from veilkey.carriers import Picture

    return encode_png(Picture(skimage.data.astronaut(), "RGB"))
