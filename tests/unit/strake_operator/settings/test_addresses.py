import pytest

from strake_operator.errors import SettingsError
from strake_operator.settings.addresses import Addresses, read_addresses


@pytest.mark.parametrize(
    ("environment", "addresses"),
    [
        ({}, Addresses()),
        ({"STRAKE_METRICS": "127.0.0.1:9100"}, Addresses(metrics=("127.0.0.1", 9100))),
        ({"STRAKE_METRICS": "[::]:9100"}, Addresses(metrics=("::", 9100))),
        ({"STRAKE_LIVENESS": "http://[::]:80/alive"}, Addresses(liveness="http://[::]:80/alive")),
    ],
)
def test_addresses(environment, addresses):
    assert read_addresses(environment) == addresses


@pytest.mark.parametrize("text", ["8081", ":8081", "host:", "host:http", "host:70000"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SettingsError, match="STRAKE_METRICS must be address and port"):
        read_addresses({"STRAKE_METRICS": text})
