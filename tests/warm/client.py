"""Stands for a worker that a server has forked: `client.py SOCKET` ends when it ends, and as it ended.

Python's standard library alone is used, and little of that: it starts in a few milliseconds.
"""

import json
import os
import signal
import socket
import sys

if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        given = json.dumps({"folder": os.getcwd(), "environment": dict(os.environ)}).encode()
        socket.send_fds(server, [given], [0, 1, 2])
        # Whoever reads what the worker writes sees its end at once.
        for stream in (0, 1, 2):
            os.close(stream)
        code = int(server.recv(16) or b"1")
    if code < 0:
        os.kill(os.getpid(), -code)
        signal.pause()
    os._exit(code)
