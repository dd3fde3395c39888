"""Workbooks of spreadsheets (XLSX): a table is written as one, and its pages are read as a person sees their cells."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from sdl.errors import InvalidInput


def write_workbook(table: Sequence[Sequence[Any]]) -> bytes:
    """Return a workbook of one page, whose headings stay in sight.

    Raises:
        InvalidInput: if the package that writes it is not installed.
    """
    book, content = _openpyxl().Workbook(), io.BytesIO()
    page = book.active
    for row in table:
        page.append(row)
    page.freeze_panes = "B2"
    book.save(content)
    return content.getvalue()


def read_workbook(name: str, content: bytes, largest: int) -> dict[str, list[list[Any]]]:
    """Return the cells of each page, row by row: numbers, text, moments as ``datetime`` has them, None if empty.

    A percentage is text with its sign. A formula is its value, or its text where no spreadsheet has computed it: such a
    cell is not an empty one.

    Args:
        name: Of the file, for what is said of it.
        content: Its bytes.
        largest: Bytes that it may have, unpacked.

    Raises:
        InvalidInput: if it is no workbook, or too large, or the package that reads it is not installed.
    """
    openpyxl = _openpyxl()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(part.file_size for part in archive.infolist()) > largest:
                raise InvalidInput(f"{name} unpacks to more than a sheet can be ({largest} bytes)")
        values, formulas = (openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=it) for it in (1, 0))
        return {
            one.title: [[*map(_cell, *rows)] for rows in zip(one.iter_rows(), other.iter_rows(), strict=True)]
            for one, other in zip(values.worksheets, formulas.worksheets, strict=True)
        }
    except InvalidInput:
        raise
    except Exception as error:  # whatever a damaged file makes a reader of four formats in one do
        raise InvalidInput(f"{name} is no sheet in XLSX: {error}") from error


def _cell(cell: Any, formula: Any) -> Any:
    value = cell.value
    if value is None:
        return formula.value
    if isinstance(value, int | float) and "%" in str(cell.number_format):
        return f"{100 * value:.12g} %"
    return value


def _openpyxl() -> Any:
    try:
        import openpyxl
    except ModuleNotFoundError as error:
        raise InvalidInput("a sheet in XLSX needs the extra: pip install 'inverse-sdl[sheets]'; or use CSV") from error
    return openpyxl
