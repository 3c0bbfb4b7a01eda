"""The command line: `python -m sisgen VERB`."""
