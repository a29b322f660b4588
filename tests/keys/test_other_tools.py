"""Other implementations open our key files, and we open theirs."""

import json
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwcrypto import jwa, jwe
from jwcrypto.common import base64url_encode
from jwcrypto.jwk import JWK

from keys import envelope
from keys.recipients import PassphraseIdentity


@pytest.fixture(autouse=True)
def allow_our_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwa, "default_max_pbkdf2_iterations", 210_000)


ALGS = ["A256GCM", "ECDH-ES+A256KW", "PBES2-HS512+A256KW"]
PROTECTED = json.dumps({"typ": "veilkey+jwe", "v": 1, "enc": "A256GCM"}, separators=(",", ":"))


def passphrase_key(sealed: SimpleNamespace) -> JWK:
    return JWK(kty="oct", k=base64url_encode(sealed.passphrase))


def jwcrypto_opens(key_file: bytes, key: JWK) -> bytes:
    token = jwe.JWE(algs=ALGS)
    token.deserialize(key_file.decode(), key)
    return token.payload


def test_jwcrypto_opens_ours(sealed: SimpleNamespace) -> None:
    assert jwcrypto_opens(sealed.key_file, JWK.from_pyca(sealed.private_key)) == sealed.plain
    assert jwcrypto_opens(sealed.key_file, passphrase_key(sealed)) == sealed.plain


def test_we_open_jwcryptos(sealed: SimpleNamespace) -> None:
    token = jwe.JWE(sealed.plain, PROTECTED, algs=ALGS)
    token.add_recipient(JWK.from_pyca(sealed.private_key.public_key()), json.dumps({"alg": ALGS[1]}))
    token.add_recipient(passphrase_key(sealed), json.dumps({"alg": ALGS[2], "p2c": 210_000}))
    key_file = token.serialize().encode()
    assert envelope.unseal(key_file, sealed.reader) == sealed.plain
    assert envelope.unseal(key_file, PassphraseIdentity(sealed.passphrase)) == sealed.plain


NODE = """
const jose = require('jose');
(async () => {
  const {keyFile, pem, passphrase} = JSON.parse(require('fs').readFileSync(0));
  const options = {keyManagementAlgorithms: ['ECDH-ES+A256KW', 'PBES2-HS512+A256KW'], maxPBES2Count: 210000};
  const keys = [await jose.importPKCS8(pem, 'ECDH-ES+A256KW'), new TextEncoder().encode(passphrase)];
  const jwe = JSON.parse(keyFile);
  for (const [i, key] of keys.entries()) {
    // node's jose takes the key for every entry, so each is given its own.
    const {plaintext} = await jose.generalDecrypt({...jwe, recipients: [jwe.recipients[i]]}, key, options);
    console.log(Buffer.from(plaintext).toString('hex'));
  }
})();
"""


def test_nodes_jose_opens_ours(sealed: SimpleNamespace) -> None:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    if subprocess.run(["node", "-e", "require('jose')"], capture_output=True).returncode:
        pytest.skip("node has no package 'jose' (npm install jose, and NODE_PATH to its node_modules)")
    pem = sealed.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given = {"keyFile": sealed.key_file.decode(), "pem": pem, "passphrase": sealed.passphrase.decode()}
    done = subprocess.run(["node", "-e", NODE], input=json.dumps(given), capture_output=True, text=True)
    assert done.stdout.split() == [sealed.plain.hex()] * 2, done.stderr
