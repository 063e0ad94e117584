"""What the filter says of arguments that it can't work with."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.websockets.fleet.plugins.filter.chain_faults import chain_faults


@pytest.mark.parametrize("chain", [None, 7, ["text"], "no certificate"])
def test_what_is_no_chain_is_an_error(chain: object) -> None:
    with pytest.raises(AnsibleFilterError, match="chain_faults"):
        chain_faults(chain)
