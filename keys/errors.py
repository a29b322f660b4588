"""What can be wrong with a key file or an identity. Every message is one line and says what to do."""


class KeyFileError(Exception):
    """Base of everything in this module: the key file did not open, and nothing of it may be used."""


class DamagedKey(KeyFileError):
    """Not a key file, cut short, altered, or declaring sizes that no key file has: get it again."""


class UnsupportedKey(KeyFileError):
    """A newer format or an algorithm that is not on our list: update, or have it sealed again."""


class WrongIdentity(KeyFileError):
    """Sealed for others, or the passphrase is wrong: open it with what it was issued to."""


class BadIdentity(KeyFileError):
    """A recipient, identity or study key that cannot be used: unreadable, of another type, or the wrong passphrase."""


class PassphraseNeeded(BadIdentity):
    """The identity file is encrypted and no passphrase was given: ask for it and load again."""


class KeyExists(KeyFileError):
    """A file of that name is there already: choose another name, or move the old one away."""
