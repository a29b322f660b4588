"""Recipients (to seal for) and identities (to open with), one file per kind; ``kinds`` lists them."""

from keys.recipients.base import Header, Identity, Kind, Recipient
from keys.recipients.kinds import KINDS
from keys.recipients.passphrase import PassphraseIdentity, PassphraseRecipient
from keys.recipients.pem import load_identity, load_recipient
from keys.recipients.x25519 import X25519Identity, X25519Recipient

__all__ = [
    "KINDS",
    "Header",
    "Identity",
    "Kind",
    "PassphraseIdentity",
    "PassphraseRecipient",
    "Recipient",
    "X25519Identity",
    "X25519Recipient",
    "load_identity",
    "load_recipient",
]
