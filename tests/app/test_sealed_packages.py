"""A gateway does not start without the sealed packages that its configuration names."""

import pytest

from pbac.app.config import parse_config
from pbac.app.run import serving
from pbac.base.errors import PbacError


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("package base\npermit x on tool x", "`package base` has to be sealed, and is not"),
        ("package other\npermit x on tool x", "no package `base`, which has to be there"),
    ],
)
async def test_a_gateway_does_not_start_without_them(tmp_path, policy, told):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.pbac").write_text(policy)
    config = parse_config('sealed_packages = ["base"]', directory=str(tmp_path))
    assert config.keep_sealed_packages
    with pytest.raises(PbacError, match="the policies cannot be used") as refused:
        async with serving(config):
            pass
    assert told in str(refused.value)
