"""An AWS operation as data, from botocore's service models; only what the models do not say is a table of ours. No Django here."""
