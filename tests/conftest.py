"""Plugins that every folder of tests may use, and that no generated example is judged by the machine's speed."""

from hypothesis import HealthCheck, settings

pytest_plugins = (
    "tests.testbed.plugin",
    "tests.testbed.aws.plugin",
    "tests.testbed.kube.plugin",
    "tests.testbed.buckets",
    "tests.testbed.postgres",
    "tests.testbed.state_server",
)
settings.register_profile("infctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("infctl")
