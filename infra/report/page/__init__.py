"""The report as one HTML file: sections of charts and tables, a style sheet and a small script."""
