"""docs/catalog.md: its example is a file that is read."""

from __future__ import annotations

import re
from pathlib import Path

from infctl.catalog.gpus import gpus
from infctl.catalog.instances import Purchase, instances
from infctl.catalog.models import models
from infctl.catalog.support import Way, supports

PAGE = Path(__file__).resolve().parents[3] / "docs" / "catalog.md"


def test_the_example_of_the_page_is_read_as_it_says(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert example is not None
    own = tmp_path / "inference.catalog.yaml"
    own.write_text(example[1])
    assert gpus(str(own)).find("Acme X1")[0].bandwidth == 9000
    assert models(str(own)).find("acme/chat-13b") is not None
    price = instances(str(own)).rows["p5.48xlarge"].price(Purchase.RESERVED)
    assert price is not None
    assert price.usd == 31.2
    l40s = gpus(str(own)).find("L40S")[0]
    assert supports(str(own)).find("vllm", "0.33.0", "gguf:Q4_K_M", l40s).way is Way.WEIGHT_ONLY
