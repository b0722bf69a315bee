"""Every spelling of `catalog/gpu_spellings.yaml` means the GPUs that stand beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from infctl.catalog.gpus import gpus

SPELLINGS = yaml.safe_load((Path(__file__).parent / "catalog" / "gpu_spellings.yaml").read_text())


@pytest.mark.parametrize(("spelled", "meant"), SPELLINGS.items())
def test_a_gpu_is_found_by_the_names_that_drivers_clouds_and_people_use(spelled: str, meant: list[str]) -> None:
    assert [gpu.name for gpu in gpus().find(spelled)] == meant


def test_the_catalogue_has_the_gpus_that_people_serve_on() -> None:
    asked = (
        "P100 V100 T4 A2 A10 A10G A16 A30 A40 A100 L4 L40 L40S H100-PCIe H100-SXM H100-NVL H20 H800 A800 GH200 H200-SXM"
        " H200-NVL B200 B300 GB200 GB300 MI210 MI250X MI300X MI325X MI355X RTX-2080Ti-11GB RTX-3090 RTX-4090 RTX-5090"
        " RTX-A6000-48GB RTX-6000-Ada-48GB RTX-PRO-6000-96GB"
    )
    assert [name for name in asked.split() if not gpus().find(name)] == []
