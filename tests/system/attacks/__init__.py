"""Attacks on the real server process, each with the answer that the protocol documents.

What goes wrong without intent is in ``tests.system.faults``. After every test the server must stop
cleanly, without a traceback in its log; no answer may hold a path or an exception's text, and no
line of the log a credential (``AttackTarget``).
"""
