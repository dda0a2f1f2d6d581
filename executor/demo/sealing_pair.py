"""The demo's own pair of keys: the web process is told the public half, the execution worker where the private one is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from approvals.sealing import LEAST_BITS
from executor.demo.state import StateFolder

PRIVATE_FILE: Final = "opening-key.pem"
PUBLIC_FILE: Final = "sealing-key.pem"


def ensure(state: StateFolder) -> None:
    """Make the pair at the first start and keep it: what was sealed before a restart still opens after it."""
    path = state.path / PRIVATE_FILE
    if not path.exists():
        made = rsa.generate_private_key(public_exponent=65537, key_size=LEAST_BITS)
        text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
        state.write_secret(PRIVATE_FILE, text)
    public = load_pem_private_key(path.read_bytes(), password=None).public_key()
    (state.path / PUBLIC_FILE).write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def sealing(state: Path) -> dict[str, str]:
    """The web process's half."""
    return {"COUNTERSIGN_SEALING_KEY": str(state / PUBLIC_FILE)}


def opening(state: Path) -> dict[str, str]:
    """The execution worker's half."""
    return {"COUNTERSIGN_OPENING_KEY": str(state / PRIVATE_FILE)}
