"""Charts as SVG text: drawn by matplotlib, coloured by the page, the same bytes every time."""
