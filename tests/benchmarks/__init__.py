"""`make bench`: speed and memory, printed one line a goal. Nothing here fails a build: machines differ."""
