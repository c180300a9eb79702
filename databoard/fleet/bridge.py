"""What rsync runs in place of ssh: hands its pipes to the process that has the connection.

Called as `python3 -I -S bridge.py SOCKET HOST COMMAND...`; ends with the exit code of the command.
"""

import socket
import sys

with socket.socket(socket.AF_UNIX) as owner:
    owner.connect(sys.argv[1])
    socket.send_fds(owner, [" ".join(sys.argv[3:]).encode()], [0, 1, 2])
    code = owner.recv(1)
sys.exit(code[0] if code else 255)
