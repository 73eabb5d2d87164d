"""The WebSocket as the Autobahn test suite looks at it: its cases 1 to 7, 9 and 10.

Every test is named after a case of that list. The suite expects an echo; this server speaks JSON
events, so a case sends a question whose ``id`` comes back, filled up with blanks to the case's
length. What is no JSON is an error on a connection that goes on. Binary frames end it with 1003,
messages over the limit, 16 KiB here, with 1009: a case of longer ones is tried as it is, and within
that limit.

What RFC 6455 leaves open is left open here: who closes first, and whether a close frame without a
code is answered with one.
"""
