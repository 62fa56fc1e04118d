# SPDX-License-Identifier: MIT
"""The files that an agent must have, derived from the specification and not from the program."""

import json
import os
import re

BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
EXACT = 2 ** 53

# file: the API's key
STRINGS = {
    "id": "agent_id", "status": "agent_status", "version": "agent_version",
    "last_heartbeat": "last_heartbeat", "connected_at": "connected_at",
    "platform_arch": "platform_arch", "tool": "tool", "tool_version": "tool_version",
    "comfyui_version": "comfyui_version", "current_task_id": "current_task_id",
    "sync_phase": "sync_phase", "sync_detail": "sync_detail",
}
NUMBERS = {"gpu_capacity": "gpu_capacity", "running_count": "running_count",
           "tasks_completed": "tasks_completed", "sync_percent": "sync_percent"}
STATS = ("comfyui_version", "pytorch_version", "os_type")


def is_unsafe(code):
    """A control of C0 or C1, DEL, a line or paragraph separator, or a bidirectional control."""
    return code < 0x20 or 0x7F <= code <= 0x9F or code in (0x2028, 0x2029) or code in BIDI


def is_invalid(code):
    """A byte that is not UTF-8, as surrogateescape shows it."""
    return 0xDC80 <= code <= 0xDCFF


def escape(text):
    """A string as text files show it."""
    out = []
    for character in text:
        raw = character.encode("utf-8", "surrogateescape")
        if is_unsafe(ord(character)) or is_invalid(ord(character)):
            out.append("".join(f"\\x{byte:02x}" for byte in raw).encode())
        else:
            out.append(raw)
    return b"".join(out)


def name(text):
    """A string as a file name (bytes); if it is too long, a pattern that the name matches."""
    if not text:
        return b"%"
    units = []
    for at, character in enumerate(text):
        raw = character.encode("utf-8", "surrogateescape")
        unsafe = (is_unsafe(ord(character)) or is_invalid(ord(character)) or character in "%/"
                  or (at == 0 and character in ".- ")
                  or (at == len(text) - 1 and character == " "))
        units.append("".join(f"%{byte:02X}" for byte in raw).encode() if unsafe else raw)
    whole = b"".join(units)
    if len(whole) <= 255:
        return whole
    head = b""
    for unit in units:
        if len(head) + len(unit) > 200:
            break
        head += unit
    return re.compile(re.escape(head) + rb"%~[0-9a-f]{32}\Z")


def line(value):
    """The content of the file of a string value."""
    return escape(value) + b"\n" if isinstance(value, str) and value else b""


def whole(value):
    """The integer, or None if the value is not one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > EXACT:
        return None
    return value


def number(value):
    return b"" if value is None else b"%d\n" % value


def files(agent):
    """{path within the agent's directory: content} of all its files except agent.json."""
    capacity, running = whole(agent.get("gpu_capacity")), whole(agent.get("running_count"))
    stats = agent.get("system_stats")
    stats = stats if isinstance(stats, dict) else {}
    tasks = agent.get("running_tasks")
    labels = agent.get("agent_labels")
    devices = stats.get("gpu_devices")

    found = {file: line(agent.get(key)) for file, key in STRINGS.items()}
    found |= {file: number(whole(agent.get(key))) for file, key in NUMBERS.items()}
    free = None if capacity is None or running is None else max(0, capacity - running)
    found["gpu_free"] = number(free)
    found["running_tasks"] = b"".join(map(line, tasks if isinstance(tasks, list) else []))
    found |= {f"system_stats/{file}": line(stats.get(file)) for file in STATS}
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str):
            found["labels/" + os.fsdecode(name(label))] = line(label)
    for at, device in enumerate(devices if isinstance(devices, list) else []):
        total, free = whole(device.get("vram_total")), whole(device.get("vram_free"))
        used = None if total is None or free is None else total - free
        found |= {f"gpus/{at}/name": line(device.get("device_name")),
                  f"gpus/{at}/type": line(device.get("device_type")),
                  f"gpus/{at}/vram_total": number(total), f"gpus/{at}/vram_free": number(free),
                  f"gpus/{at}/vram_used": number(used)}
    return found


STATUSES = ("idle", "busy", "syncing", "tunnel", "unhealthy")  # that the API documents
VIEWS = ("by-status", "by-label", "by-tool", "by-gpu", "by-version", "tasks")


def values(agent, view):
    """The values of an agent by which this view groups, each once, in the API's order."""
    if view in ("by-status", "by-tool", "by-version"):
        key = {"by-status": "agent_status", "by-tool": "tool", "by-version": "agent_version"}[view]
        found = [agent.get(key)]
    elif view == "by-label":
        found = agent.get("agent_labels", [])
    elif view == "by-gpu":
        found = [gpu.get("device_name")
                 for gpu in agent.get("system_stats", {}).get("gpu_devices", [])]
    else:
        found = [*agent.get("running_tasks", []), agent.get("current_task_id")]
    empty = view == "by-label"  # a label may be the empty string, a value is then absent
    return list(dict.fromkeys(value for value in found
                              if isinstance(value, str) and (value or empty)))


def groups(agents, view):
    """{name of the group: [agents, in the API's order]}, without names that are too long."""
    found = {}
    for agent in agents:
        for value in values(agent, view):
            found.setdefault(os.fsdecode(name(value)), []).append(
                os.fsdecode(name(agent["agent_id"])))
    return found


def pairs(text):
    """JSON with the order and the duplicates of keys, and with numbers as they are written."""
    return json.loads(text, object_pairs_hook=tuple, parse_int=lambda n: ("number", n),
                      parse_float=lambda n: ("number", n))


def walk(folder):
    """{path: content} of every file below a directory. Checks that each is as long as stat says."""
    found = {}
    for where, _folders, names in os.walk(folder, onerror=raise_it):
        for file in names:
            path = os.path.join(where, file)
            with open(path, "rb") as opened:
                content = opened.read()
                size = os.fstat(opened.fileno()).st_size
            assert size == len(content) == os.stat(path).st_size, path
            found[os.path.relpath(path, folder)] = content
    return found


def raise_it(error):
    raise error
