"""What an export will cost in kind: the machine that Neptune takes for it, and whether one is big enough.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-limits.html
"""

from __future__ import annotations

from typing import Any

from neptune_airflow.dataset import CHECKS, Finding

GIB = 1 << 30
#: Instances of SageMaker Processing by memory in GiB, the smallest first.
INSTANCES = {
    "ml.r5.large": 16,
    "ml.r5.xlarge": 32,
    "ml.r5.2xlarge": 64,
    "ml.r5.4xlarge": 128,
    "ml.r5.8xlarge": 256,
    "ml.r5.12xlarge": 384,
    "ml.r5.16xlarge": 512,
    "ml.r5.24xlarge": 768,
}
#: Data processing's memory, as a multiple of the export's size on disk.
MEMORY_FACTOR = 10
#: The volume that holds the export and what is made of it, likewise; a graph takes up to as much as its CSV.
VOLUME_FACTOR = 2


def cost(size: int) -> tuple[dict[str, Any], list[Finding]]:
    """Give what data of a size need, in GB, and what is to be said of it.

    :param size: bytes of the whole export.
    """
    memory = MEMORY_FACTOR * size / GIB
    instance = next((name for name, room in INSTANCES.items() if room >= memory), None)
    facts = {
        "data_bytes": size,
        "memory_gb": round(memory, 1),
        "instance": instance,
        "instance_memory_gb": INSTANCES.get(instance or ""),
        "volume_gb": max(1, -(-VOLUME_FACTOR * size // GIB)),
        "fits": instance is not None,
    }
    if instance:
        return facts, []
    most = max(INSTANCES.values())
    return facts, [CHECKS["too-large"].at(size=f"{size / GIB:.1f}", memory=f"{memory:.0f}", most=most)]
