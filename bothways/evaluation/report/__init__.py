"""The report of an evaluation: values, Markdown, HTML, plots, files."""
