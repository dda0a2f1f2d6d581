"""KMS's Decrypt with an RSA key (RSAES_OAEP_SHA_256), which moto has only for symmetric keys.

What AWS documents: the algorithm is the caller's to say, the key must be made for encryption and know it, and what does not
decrypt is an InvalidCiphertextException that tells nothing more.
"""

import base64
import json
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from moto.kms.exceptions import InvalidCiphertextException, InvalidKeyUsageException
from moto.kms.responses import KmsResponse
from moto.kms.utils import RSAPrivateKey

OAEP: Final = "RSAES_OAEP_SHA_256"
_symmetric: Final = KmsResponse.decrypt


def decrypt(self: KmsResponse) -> str:
    """Answer a Decrypt; moto's own does where no other algorithm is named."""
    algorithm = self._get_param("EncryptionAlgorithm") or "SYMMETRIC_DEFAULT"
    if algorithm == "SYMMETRIC_DEFAULT":
        return _symmetric(self)
    key_id = self._get_param("KeyId")
    self._validate_key_id(key_id)
    key = self.kms_backend.describe_key(key_id)
    if algorithm != OAEP or key.key_usage != "ENCRYPT_DECRYPT" or not isinstance(key.private_key, RSAPrivateKey):
        raise InvalidKeyUsageException
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    try:
        plain = key.private_key.private_key.decrypt(self._get_param("CiphertextBlob"), scheme)
    except ValueError as error:
        raise InvalidCiphertextException from error
    answer = {"Plaintext": base64.b64encode(plain).decode("ascii"), "KeyId": key.arn, "EncryptionAlgorithm": OAEP}
    return json.dumps(answer)


def install() -> None:
    """Let moto's KMS answer with `decrypt`. Safe to repeat."""
    KmsResponse.decrypt = decrypt  # type: ignore[method-assign]
