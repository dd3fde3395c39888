"""The rig behind each protocol that an instrument may speak by configuration."""

from rest_server import served_at_once, served_command, served_rest
from scpi_server import served_scpi

PROTOCOLS = {
    "scpi": served_scpi,
    "rest": served_rest,
    "rest, all at once": served_at_once,
    "command": served_command,
}
