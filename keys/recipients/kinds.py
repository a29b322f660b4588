"""The kinds that there are. A new one is one more file in this folder and its ``KIND`` here."""

from keys.recipients import passphrase, x25519
from keys.recipients.base import Kind

KINDS: tuple[Kind, ...] = (x25519.KIND, passphrase.KIND)
