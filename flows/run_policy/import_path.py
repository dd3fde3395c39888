"""A run imports this program from where it is installed, though a person has folders of the same names.

Every Prefect project has a folder ``flows``, and Python looks for modules in the working directory first where it is
started with ``-m``, as Prefect starts a run. Our own processes are started with ``-P`` besides.
"""

import os

INSTALLED_ONLY = {"PYTHONSAFEPATH": "1"}
"""Environment in which Python does not look for modules in the working directory."""


def release_children() -> None:
    """Let what this process starts look there again, as the driver of an instrument may that runs a script."""
    for name in INSTALLED_ONLY:
        os.environ.pop(name, None)
