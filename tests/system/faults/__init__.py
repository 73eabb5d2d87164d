"""What goes wrong by itself, against the real server process: disks, networks, kills, restarts.

Two faults have to be made inside the server, a disk that hangs and a heartbeat that takes half a
minute: these run in the test's process.
"""
