"""Coverage-guided fuzzing of what parses clients' bytes: frames and the Range policy, by atheris::

    python -m tests.fuzz messages --seconds 30
    python -m tests.fuzz ranges --seconds 30

A finding ends the run with a traceback and leaves the input in a ``crash-*`` file in the working
folder; ``python -m tests.fuzz messages --seconds 1 crash-...`` plays it again. atheris is not
among the test dependencies: it comes for some platforms only, and ``tests/test_fuzz.py`` checks
the same by Hypothesis. Not here: the gateway, which is fuzzed over real sockets there.
"""
