"""A local AWS for the demo and the tests: moto behind a recorder.

moto keeps the state of the services. The recorder in front of it does what moto leaves out: it verifies signatures,
evaluates IAM policies, refuses in the service's own words, writes CloudTrail-shaped records and sends them through
EventBridge rules to their queues. Nothing outside this package imports moto.
"""
