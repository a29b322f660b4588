"""Other implementations open our key files, and we open theirs."""

import json
import shutil
import subprocess
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwcrypto import jwa, jwe
from jwcrypto.common import base64url_encode
from jwcrypto.jwk import JWK

from keys.payload import to_bytes
from keys.recipients import PassphraseIdentity


@pytest.fixture(autouse=True)
def allow_our_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwa, "default_max_pbkdf2_iterations", 210_000)


ALGS = ["A256GCM", "ECDH-ES+A256KW", "PBES2-HS512+A256KW"]
PROTECTED = json.dumps({"typ": "veilkey+jwe", "v": 3, "enc": "A256GCM"}, separators=(",", ":"))


def passphrase_key(sealed: SimpleNamespace) -> JWK:
    return JWK(kty="oct", k=base64url_encode(sealed.passphrase))


def jwcrypto_opens(key_file: bytes, key: JWK) -> bytes:
    token = jwe.JWE(algs=ALGS)
    token.deserialize(key_file.decode(), key)
    return token.payload


def test_jwcrypto_opens_ours(sealed: SimpleNamespace) -> None:
    assert jwcrypto_opens(sealed.key_file, JWK.from_pyca(sealed.private_key)) == sealed.plain
    assert jwcrypto_opens(sealed.key_file, passphrase_key(sealed)) == sealed.plain


def test_jwcrypto_opens_each_lock_of_several(group: SimpleNamespace) -> None:
    first, second, whole = (json.dumps(jwe).encode() for jwe in json.loads(group.key_file)["locks"])
    contents = [to_bytes(lock.payload) for lock in group.locks]
    private = {name: JWK.from_pyca(key) for name, key in group.keys.items()}
    assert jwcrypto_opens(first, private["alice"]) == contents[0]
    assert jwcrypto_opens(second, private["bob"]) == contents[1]
    assert jwcrypto_opens(second, JWK(kty="oct", k=base64url_encode(b"correct horse"))) == contents[1]
    assert jwcrypto_opens(whole, private["hospital"]) == contents[2]
    for jwe_text in (second, whole):
        with pytest.raises(jwe.InvalidJWEData):
            jwcrypto_opens(jwe_text, private["alice"])


def test_we_open_jwcryptos(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    token = jwe.JWE(sealed.plain, PROTECTED, algs=ALGS)
    token.add_recipient(JWK.from_pyca(sealed.private_key.public_key()), json.dumps({"alg": ALGS[1]}))
    token.add_recipient(passphrase_key(sealed), json.dumps({"alg": ALGS[2], "p2c": 210_000}))
    key_file = token.serialize().encode()
    assert unseal(key_file, sealed.reader) == sealed.plain
    assert unseal(key_file, PassphraseIdentity(sealed.passphrase)) == sealed.plain


NODE = """
const jose = require('jose');
(async () => {
  const {jwe, pem, passphrase} = JSON.parse(require('fs').readFileSync(0));
  const options = {keyManagementAlgorithms: ['ECDH-ES+A256KW', 'PBES2-HS512+A256KW'], maxPBES2Count: 210000};
  const keys = [await jose.importPKCS8(pem, 'ECDH-ES+A256KW'), new TextEncoder().encode(passphrase)];
  for (const [i, key] of keys.entries()) {
    // node's jose takes the key for every entry, so each is given its own.
    const {plaintext} = await jose.generalDecrypt({...jwe, recipients: [jwe.recipients[i]]}, key, options);
    console.log(Buffer.from(plaintext).toString('hex'));
  }
})();
"""


@pytest.fixture
def jose() -> Callable[..., list[str]]:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    if subprocess.run(["node", "-e", "require('jose')"], capture_output=True).returncode:
        pytest.skip("node has no package 'jose' (npm install jose, and NODE_PATH to its node_modules)")

    def open_(jwe: dict, private_key: X25519PrivateKey, passphrase: bytes) -> list[str]:
        pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        given = {"jwe": jwe, "pem": pem, "passphrase": passphrase.decode()}
        done = subprocess.run(["node", "-e", NODE], input=json.dumps(given), capture_output=True, text=True)
        assert not done.stderr
        return done.stdout.split()

    return open_


def test_nodes_jose_opens_ours(sealed: SimpleNamespace, jose: Callable[..., list[str]]) -> None:
    opened = jose(json.loads(sealed.key_file), sealed.private_key, sealed.passphrase)
    assert opened == [sealed.plain.hex()] * 2


def test_nodes_jose_opens_one_lock_of_several(group: SimpleNamespace, jose: Callable[..., list[str]]) -> None:
    opened = jose(json.loads(group.key_file)["locks"][1], group.keys["bob"], b"correct horse")
    assert opened == [to_bytes(group.locks[1].payload).hex()] * 2
