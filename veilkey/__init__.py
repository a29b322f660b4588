"""veilkey: hide faces in photos from recognizers, and give the exact original back to whoever holds the key.

protected = veilkey.protect("photo.jpg", passphrase="correct horse")
original = veilkey.restore(protected.image, protected.key, passphrase="correct horse")
"""

from veilkey._version import __version__
from veilkey.api import Protected, protect, restore

__all__ = ["Protected", "__version__", "protect", "restore"]
