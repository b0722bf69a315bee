"""Plugins that every folder of tests may use."""

pytest_plugins = ("tests.testbed.plugin",)
