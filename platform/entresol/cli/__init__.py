"""The commands: `entresol COMMAND --help`."""
