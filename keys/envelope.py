"""One lock: bytes sealed for their recipients, and opened.

A lock is a JSON Web Encryption in General JSON form (RFC 7516): the bytes are encrypted once with A256GCM under a
random key, and each recipient has an entry with that key wrapped for them.
"""

import json
from collections.abc import Sequence
from typing import cast

from cryptography.exceptions import InvalidTag
from joserfc.errors import DecodeError, JoseError
from joserfc.jwe import GeneralJSONEncryption, GeneralJSONSerialization, JWERegistry, decrypt_json, encrypt_json
from joserfc.registry import HeaderParameter

from keys import parse
from keys.errors import DamagedKey, WrongIdentity
from keys.recipients import KINDS, Identity, Recipient

MAX_KEY_FILE = parse.MAX_KEY_FILE
"""Bytes; whoever reads a key file need not read more than one byte beyond it."""


class _Registry(JWERegistry):
    max_protected_header_length = parse.MAX_HEADER
    max_ciphertext_length = parse.MAX_KEY_FILE


_REGISTRY = _Registry(
    header_registry={
        "v": HeaderParameter("Format version", "int", True),
        "faces": HeaderParameter("Numbers of the faces", lambda _: None),  # `parse` checks them
    },
    algorithms=[parse.ENC, *(kind.alg for kind in KINDS)],
    max_recipients=parse.MAX_RECIPIENTS,
    verify_all_recipients=False,  # one entry that the identity opens is enough
)


def seal(payload: bytes, recipients: Sequence[Recipient], faces: tuple[int, ...] | None = None) -> bytes:
    """``payload`` (at most about 24 MB) as a key file of one lock, which each of the recipients can open.

    faces: the numbers of the faces that it holds, 1..256, ascending; None: it leads back to the original. Anyone can
    read them.

    Raises ValueError for no recipients, more than 1024, more than one passphrase, or a payload too large.
    """
    if not recipients:
        raise ValueError("`recipients` must hold at least one. Received: none")
    if problem := parse.misfit([(faces, [recipient.header for recipient in recipients])]):
        raise ValueError(f"a key file cannot have {problem}")
    jwe = GeneralJSONEncryption(parse.protected_header(faces), payload)
    for recipient in recipients:
        jwe.add_recipient(dict(recipient.header), recipient.key)  # a copy: joserfc adds to it
    key_file = json.dumps(encrypt_json(jwe, None, registry=_REGISTRY), separators=(",", ":")).encode()
    if len(key_file) > MAX_KEY_FILE:
        raise ValueError(f"`payload` must fit into a key file of {MAX_KEY_FILE} bytes. Received: {len(payload)} bytes")
    return key_file


def unseal(jwe: parse.Jwe, identity: Identity) -> bytes:
    """The payload of a lock, authenticated together with the faces that it says to hold.

    Raises WrongIdentity where it is not for ``identity``, DamagedKey where it is damaged. Bits that were changed in an
    entry look like a wrong identity.
    """
    entries = jwe.entries_for(identity)
    if not entries:
        raise WrongIdentity(f"the key file is not sealed for {identity.name}; open it with what it was issued to")
    # Only entries that this one key may open, and all at once, so that the ciphertext is decoded once.
    data = {
        "protected": jwe.protected,
        "iv": jwe.iv,
        "ciphertext": jwe.ciphertext,
        "tag": jwe.tag,
        "recipients": entries,
    }
    try:
        opened = decrypt_json(cast(GeneralJSONSerialization, data), identity.key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        if isinstance(error, DecodeError) and not isinstance(error.__cause__, InvalidTag):
            raise WrongIdentity(f"{identity.name} does not open the key file; check it and try again") from error
        raise DamagedKey("the key file is damaged or was altered; get it again") from error
    assert opened.plaintext is not None
    return opened.plaintext
