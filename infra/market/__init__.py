"""Market data and books as sources deliver them, and the page that shows what validation found.

Start at ``source.open_source``; parts are imported from their modules, so that opening a directory
loads no database driver.
"""

__all__: list[str] = []
