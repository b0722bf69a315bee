"""Owns what sizing is asked about a model of the stack: what its file fixes, and what its targets have to offer. Pure.

What a trace or a checkpoint says is read elsewhere; which decision follows is `infctl.sizing.choose`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infctl.catalog.gpus import Gpu, gpus
from infctl.engines.resolve import engine_of, serving_of
from infctl.frozen import replace
from infctl.provider.values import Device, Place, Purchase
from infctl.sizing.decision import Ask, Offer

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

GIB = 1024**3
MOST_TWINS = 64  # places of one kind that a platform may begin and that are counted on
_NEARLY = 0.97  # of a device: what is less is used by somebody, what is more by its driver


def is_sized(model: Model) -> bool:
    """Return whether the file says what a model owes, or under which load: then infctl decides what it leaves open."""
    return (model.workload is not None or model.slo is not None) and not model.command and model.engine != "custom"


def ask_of(stack: Stack, model: Model) -> Ask:
    """Return what the file fixes of a model; what it leaves out or calls auto is left to the decision."""
    split, gpu, least = model.parallelism, model.gpu, model.replicas
    return Ask(
        engine=engine_of(model, container=True) if model.image else model.engine,  # an image holds one engine
        quantization=model.quantization,
        tensor=_fixed(split and split.tensor) or _argument(model, "tensor_parallel_size"),
        pipeline=_fixed(split and split.pipeline) or _argument(model, "pipeline_parallel_size"),
        max_model_len=model.max_model_len,
        kv_dtype=model.kv_cache_dtype,
        gpus=gpu.count if gpu else None,
        product=_product(gpu.product) if gpu and gpu.product else "",
        fraction=(gpu.fraction if gpu else None) or 1.0,
        replicas=(least.min, least.max),
        max_quality_loss=model.max_quality_loss,
        engine_args=model.engine_args,
        task=model.task,
        speculative=model.speculative.method if model.speculative else "",
        operated=tuple(sorted(_operated(stack, model))),
        order=model.placement.order or (next(iter(stack.targets)),),
    )


def _fixed(value: Any) -> int | None:
    return value if type(value) is int else None


def _argument(model: Model, name: str) -> int | None:
    return _fixed(model.engine_args.get(name))


def _product(name: str) -> str:
    """Return a device's name as the catalogue has it, where it does."""
    found = gpus().find(name)
    return found[0].name if found else name


def _operated(stack: Stack, besides: Model) -> Iterable[str]:
    """Yield the engines that other models of the stack name or can only have."""
    for model in stack.models.values():
        if model.name != besides.name and (model.engine != "auto" or not is_sized(model)):
            engine = engine_of(model, container=True)
            if serving_of(engine) is not None:
                yield engine


# ---------------------------------------------------------------- what there is


def offers_of(
    target: str, places: Iterable[Place], whole: Mapping[str, int], engines: Collection[str] = (), own: str = ""
) -> tuple[Offer, ...]:
    """Return what a target offers, one for each kind of device and price; of a product that no catalogue has nothing
    can be predicted, so it is none.

    `whole` maps the uuid of each device that can be had whole, or is had by ourselves already, to its bytes; others do
    not count. `engines` are those that the target can start, `own` is a user's catalogue file.
    """
    groups: dict[tuple[str, float | None, Purchase, str], list[list[Device]]] = {}
    endless: set[tuple[str, float | None, Purchase, str]] = set()
    bare: dict[tuple[float | None, Purchase], int] = {}
    for place in places:
        if not place.devices:
            bare[place.price, place.purchase] = bare.get((place.price, place.purchase), 0) + 1
        by_product: dict[str, list[Device]] = {}
        for device in place.devices:
            if whole.get(device.uuid):
                by_product.setdefault(device.product, []).append(device)
        for product, devices in by_product.items():
            kind = (product, place.price, place.purchase, place.priced)
            groups.setdefault(kind, []).extend([devices] * min(1 if place.most is None else place.most, MOST_TWINS))
            endless |= {kind} if place.most is None else set()
    found = []
    for kind, hosts in groups.items():
        product, price, purchase, priced = kind
        cards = gpus(own).find(product)
        if not cards:
            continue
        most = max(map(len, hosts))
        every = [device for host in hosts for device in host]
        many = None if kind in endless else max(1, len(every) // most)
        free = _free(every, whole, cards[0])
        found.append(Offer(target, cards, most, many, free, price, purchase, tuple(engines), priced))
    found += [
        Offer(target, (), 0, hosts, None, price, purchase, tuple(engines)) for (price, purchase), hosts in bare.items()
    ]
    return tuple(found)


def joined(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Return offers with those of several targets as one where their hosts are alike: as the first target's, at the
    dearest price of them.
    """
    found: dict[object, Offer] = {}
    for offer in offers:
        kind = (offer.product, offer.devices, offer.engines, bool(offer.gpus), offer.free_gib is None)
        first = found.get(kind)
        if first is None or first.hosts is None:
            found.setdefault(kind, offer)
            continue
        prices = [each.price for each in (first, offer) if each.price is not None]
        found[kind] = replace(
            first,
            hosts=None if offer.hosts is None else first.hosts + offer.hosts,
            free_gib=min((each.free_gib for each in (first, offer) if each.free_gib is not None), default=None),
            price=max(prices, default=None),
        )
    return tuple(found.values())


def _free(devices: Iterable[Device], whole: Mapping[str, int], card: Gpu) -> float | None:
    """Return the GiB that the fullest of some devices has free, None where each is free but for its driver's part."""
    least = min(devices, key=lambda device: whole[device.uuid] / device.memory_total)
    share = whole[least.uuid] / least.memory_total
    return None if share >= _NEARLY else min(card.memory, whole[least.uuid] / GIB)
