"""How Kubernetes changes an object by part of one: merge patches (RFC 7386), and its own strategic ones."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
# Lists whose entries have a name of their own, by the field that holds it.
# https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
_NAMED_BY = {
    "containers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ports": ("containerPort", "port"),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_ORDER = "$setElementOrder/"


def patched(old: Object, patch: Object, *, strategic: bool) -> Object:
    """Return `old` as the patch says; strategic ones name entries of lists, others give lists whole."""
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    kept = patch.get("$retainKeys")
    new = {key: value for key, value in old.items() if kept is None or key in kept}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            new.pop(key, None)
        elif isinstance(value, dict):
            before = new.get(key)
            new[key] = patched(before if isinstance(before, dict) else {}, value, strategic=strategic)
        elif strategic and (name := _name(key, value, new.get(key))):
            new[key] = _entries(new[key], value, name)
        else:
            new[key] = value
    for key, order in patch.items():
        if strategic and key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            if (name := _name(field, order, new.get(field))) is not None:
                places = {entry[name]: place for place, entry in enumerate(order)}
                by_place = {places[entry[name]]: entry for entry in new[field]}
                new[field] = [by_place[place] for place in sorted(by_place)]
    return new


def _name(key: str, value: Any, old: Any) -> str | None:
    """Return the field that names the entries of a list, if its entries have one."""
    if not (isinstance(value, list) and isinstance(old, list)):
        return None
    entries = [entry for entry in (*value, *old) if isinstance(entry, dict)]
    fields = [field for field in _NAMED_BY.get(key, ()) if all(field in entry for entry in entries)]
    return fields[0] if fields and entries else None


def _entries(old: list[Object], patch: list[Object], name: str) -> list[Object]:
    new = {entry[name]: entry for entry in old}
    for entry in patch:
        if entry.get("$patch") == "delete":
            new.pop(entry[name], None)
        else:
            new[entry[name]] = patched(new.get(entry[name], {}), entry, strategic=True)
    return list(new.values())
