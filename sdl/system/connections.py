"""What was asked over a line and then given up is taken back: no network delivers it later, amid the next question.

A connection that is closed as usual, also by the end of its process, goes on sending what did not get through yet, for
minutes, over a line that was cut and comes back.
"""

import socket
import struct


def take_back_unsent(line: socket.socket, on: bool = True) -> None:
    """Have the end of a connection, whoever ends it, drop what is still to be sent; or have it sent, as is usual.

    Args:
        line: The connection.
        on: Whether it is to be dropped.
    """
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, 0))


def limit_sending(line: socket.socket, seconds: float) -> None:
    """End a connection whose words did not arrive for so long, though this process may be frozen meanwhile."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(round(1000 * seconds), 1))
