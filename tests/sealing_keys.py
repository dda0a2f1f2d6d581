"""RSA keys of the executor for tests, each made once: 3072 bits take a while."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def private(name: str = "one") -> rsa.RSAPrivateKey:
    """The key of this name."""
    return _made(name)


@lru_cache
def _made(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=3072)


def public_pem(name: str = "one") -> str:
    return private(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


def private_file(folder: Path, name: str = "one") -> str:
    """The path of a file with the private key."""
    path = folder / f"{name}.pem"
    path.write_bytes(private(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(path)
