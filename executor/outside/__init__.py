"""The claim outside the database: what a restored backup cannot have forgotten.

Right before an attempt is committed as `sent` an object is written to S3, on condition that there is none under its key, and
locked there for longer than any backup is kept. The key names request, digest, step and number; the body who claims, and the head
of the audit trail, so that each claim is a checkpoint of the trail too. The module's numbered steps are those of `claim`.

Whatever is found there that is not this very call's own, told by a nonce that lies in the memory of the worker alone, means that
somebody may have made the call: the execution's outcome is unknown, and nothing is sent.
"""

from executor.outside.bucket import Bucket
from executor.outside.claiming import Held, claim, must_be_unclaimed, unused
from executor.outside.comparing import Comparison, compare

__all__ = ["Bucket", "Comparison", "Held", "claim", "compare", "must_be_unclaimed", "unused"]
