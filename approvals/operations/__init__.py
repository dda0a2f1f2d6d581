"""An AWS operation as data, from botocore's service models; only what they do not say is a table of ours. No Django here."""
