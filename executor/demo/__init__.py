"""The demo on one machine: servers from wheels, a local AWS, every process of a deployment, under one supervisor.

Nothing here is imported by a process of a real deployment.
"""
