"""Real servers for every test that asks for them: see README.md for the fixtures."""

pytest_plugins = ["entresol.testing.plugin"]
