"""Summaries: what each container requested and what it becomes, in one line each."""

from collections.abc import Iterator

from .decision import Decision
from .edits import AddEnv, AddNeed, Annotate, DropKey, DropResource, RenameResource, ReplaceProduct
from .pods import Place
from .products import PRODUCT
from .quantity import shown


def requests(decision: Decision) -> list[str]:
    """Return the requests of each container: ``train: nvidia.com/gpu: 1``."""
    return [
        f"{gpu_container.container.name}: {' + '.join(map(str, gpu_container.requested))}"
        for gpu_container in decision.gpu_containers
    ]


def changes(decision: Decision, *, would: bool = False, nodes: bool = True) -> Iterator[str]:
    """Return the changes of each container that requests GPUs, then of the pod, as sentences without their end.

    ``would`` describes changes that are not made; ``nodes`` includes the node labels.
    """
    becomes, placed, stays = (
        ("would become", "would be placed", "would stay") if would else ("becomes", "is placed", "stays")
    )
    needs = [str(edit.need) for edit in decision.edits if isinstance(edit, AddNeed)]
    on = f" on nodes with {', '.join(needs)}" if needs else ""
    dropped = [edit.key for edit in decision.edits if isinstance(edit, DropKey)]
    on += f", without node selector {', '.join(dropped)}" if dropped else ""
    renames = {edit.place: edit for edit in decision.edits if isinstance(edit, RenameResource)}
    removed = "would be removed" if would else "is removed"
    drops: dict[Place, list[DropResource]] = {}
    for edit in decision.edits:
        if isinstance(edit, DropResource):
            drops.setdefault(edit.place, []).append(edit)
    told = bool(drops)
    for gpu_container in decision.gpu_containers:
        rename = renames.get(gpu_container.place)
        if gpu_container.amounts and (rename or on):
            told = True
            amount = gpu_container.amounts[0]
            done = f"{becomes} {rename.new}: {shown(amount.written)}" if rename else placed if needs else stays
            yield f"{gpu_container.name}: {amount} {done}{on if nodes else ''}"
        for drop in drops.get(gpu_container.place, ()):
            yield f"{gpu_container.name}: {drop.name}, which a LimitRange added, {removed}"
    if not told:
        replaced = [edit for edit in decision.edits if isinstance(edit, ReplaceProduct)]
        yield from (f'pod: node selector {PRODUCT}: "{edit.old}" {becomes} "{edit.new}"' for edit in replaced)
        yield from (f"pod: node selector {key} {removed}" for key in dropped)
        apart = Annotate | AddEnv | ReplaceProduct | DropKey
        rest = [str(edit) for edit in decision.edits if not isinstance(edit, apart)]
        rest += sorted({f"env {edit.name}" for edit in decision.edits if isinstance(edit, AddEnv)})
        if rest:
            yield f"pod: {'would get' if would else 'gets'} {', '.join(rest)}"
