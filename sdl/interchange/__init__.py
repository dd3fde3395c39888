"""In and out of the ledger: export, import, bundles of evidence, earlier campaigns."""

from typing import TYPE_CHECKING

from sdl.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from sdl.interchange.bundle_reader import read_bundle
    from sdl.interchange.bundle_writer import write_bundle
    from sdl.interchange.export_import import export_campaign, import_campaign, read_data
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "export_campaign": "sdl.interchange.export_import",
            "import_campaign": "sdl.interchange.export_import",
            "read_bundle": "sdl.interchange.bundle_reader",
            "read_data": "sdl.interchange.export_import",
            "write_bundle": "sdl.interchange.bundle_writer",
        },
    )

__all__ = ["export_campaign", "import_campaign", "read_bundle", "read_data", "write_bundle"]
