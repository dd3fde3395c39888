"""A run imports this program from where it is installed, though a person has folders of the same names.

Every Prefect project has a folder ``flows``. Python looks for modules in the working directory first where it is started
with ``-m``, as Prefect starts a run; our own processes are started with ``-P`` besides.
"""

import os

INSTALLED_ONLY = {"PYTHONSAFEPATH": "1"}
"""Environment in which Python does not look for modules in the working directory."""


def release_children() -> None:
    """Let what this process starts look there again: the driver of an instrument may run a script with files beside it."""
    for name in INSTALLED_ONLY:
        os.environ.pop(name, None)
