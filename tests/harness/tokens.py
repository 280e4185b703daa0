"""JSON Web Tokens and keys, made with openssl(1): nothing signs in Python but HMAC."""

import base64
import hashlib
import hmac
import json
import subprocess
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(claims, header):
    return ".".join(b64(json.dumps(part).encode()) for part in (header, claims))


def claims_of(sub="alice", lifetime=300, **more):
    """Claims that are good for `lifetime` seconds; None leaves one out."""
    claims = {"sub": sub, "exp": int(time.time()) + lifetime, **more}
    return {key: value for key, value in claims.items() if value is not None}


def hs256(secret, sub="alice", header=None, **more):
    text = unsigned(claims_of(sub, **more), {"alg": "HS256", "typ": "JWT", **(header or {})})
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{text}.{b64(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, check=True,
                          capture_output=True).stdout


def der_integers(der):
    """The two INTEGERs of an ECDSA signature."""
    at = 2
    for _ in range(2):
        size = der[at + 1]
        yield int.from_bytes(der[at + 2:at + 2 + size], "big")
        at += 2 + size


class Key:
    """A key pair in `directory`; algorithm RS256 or ES256."""

    def __init__(self, directory, name, algorithm):
        self.name, self.algorithm = name, algorithm
        self.private, self.public = directory / f"{name}.key", directory / f"{name}.pem"
        kind = (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "RS256"
                else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        openssl("genpkey", "-algorithm", *kind, "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def token(self, sub="alice", header=None, **more):
        text = unsigned(claims_of(sub, **more),
                        {"alg": self.algorithm, "kid": self.name, **(header or {})})
        signature = openssl("dgst", "-sha256", "-sign", self.private, data=text.encode())
        if self.algorithm == "ES256":
            signature = b"".join(n.to_bytes(32, "big") for n in der_integers(signature))
        return f"{text}.{b64(signature)}"

    def jwk(self):
        der = openssl("pkey", "-pubin", "-in", self.public, "-outform", "DER")
        jwk = {"kid": self.name, "alg": self.algorithm, "use": "sig"}
        if self.algorithm == "ES256":
            return {**jwk, "kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]),
                    "y": b64(der[-32:])}
        modulus = openssl("rsa", "-pubin", "-in", self.public, "-noout", "-modulus")
        modulus = bytes.fromhex(modulus.decode().strip().partition("=")[2])
        return {**jwk, "kty": "RSA", "n": b64(modulus), "e": b64(b"\1\0\1")}


def jwks(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})
