"""Files of rows and readings, a format a file: JSON lines, tables, SQLite, NeXus; and times as people write them."""
