"""What is wrong with a message of the Common Alerting Protocol 1.2: written after the specification's section 3.2.

The schema that OASIS publishes is not shipped here: it says "All Rights Reserved". This says the same of what a message
may hold (which elements, in which order, how often, with which values), and beyond it what the specification says in
words alone: characters that a name may not have, references, circles, and what an update has to refer to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree as ET

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
ANY = re.compile(r"[\s\S]+")
TIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-([0-2]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d[-+]\d\d:\d\d")
NAME = re.compile(r"[^\s,<&]+")
LANGUAGE = re.compile(r"[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*")
NUMBER = r"-?\d+(\.\d+)?"


def one_of(*values: str) -> re.Pattern[str]:
    return re.compile("|".join(values))


@dataclass(frozen=True)
class Part:
    """An element: how often at least and at most (None: as often as you like), its text, or the parts within."""

    name: str
    least: int = 1
    most: int | None = 1
    text: re.Pattern[str] | None = ANY
    parts: tuple[Part, ...] = ()


PAIR = (Part("valueName"), Part("value"))
AREA = (
    Part("areaDesc"),
    Part("polygon", 0, None, re.compile(rf"({NUMBER},{NUMBER} ){{3,}}{NUMBER},{NUMBER}")),
    Part("circle", 0, None, re.compile(rf"{NUMBER},{NUMBER} \d+(\.\d+)?")),
    Part("geocode", 0, None, None, PAIR),
    Part("altitude", 0, 1, re.compile(NUMBER)),
    Part("ceiling", 0, 1, re.compile(NUMBER)),
)
RESOURCE = (
    Part("resourceDesc"),
    Part("mimeType"),
    Part("size", 0, 1, re.compile(r"\d+")),
    Part("uri", 0),
    Part("derefUri", 0),
    Part("digest", 0),
)
INFO = (
    Part("language", 0, 1, LANGUAGE),
    Part(
        "category",
        1,
        None,
        re.compile("Geo|Met|Safety|Security|Rescue|Fire|Health|Env|Transport|Infra|CBRNE|Other"),
    ),
    Part("event"),
    Part(
        "responseType",
        0,
        None,
        one_of("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None"),
    ),
    Part("urgency", text=one_of("Immediate", "Expected", "Future", "Past", "Unknown")),
    Part("severity", text=one_of("Extreme", "Severe", "Moderate", "Minor", "Unknown")),
    Part("certainty", text=one_of("Observed", "Likely", "Possible", "Unlikely", "Unknown")),
    Part("audience", 0),
    Part("eventCode", 0, None, None, PAIR),
    Part("effective", 0, 1, TIME),
    Part("onset", 0, 1, TIME),
    Part("expires", 0, 1, TIME),
    Part("senderName", 0),
    Part("headline", 0),
    Part("description", 0),
    Part("instruction", 0),
    Part("web", 0),
    Part("contact", 0),
    Part("parameter", 0, None, None, PAIR),
    Part("resource", 0, None, None, RESOURCE),
    Part("area", 0, None, None, AREA),
)
ALERT = (
    Part("identifier", text=NAME),
    Part("sender", text=NAME),
    Part("sent", text=TIME),
    Part("status", text=one_of("Actual", "Exercise", "System", "Test", "Draft")),
    Part("msgType", text=one_of("Alert", "Update", "Cancel", "Ack", "Error")),
    Part("source", 0),
    Part("scope", text=one_of("Public", "Restricted", "Private")),
    Part("restriction", 0),
    Part("addresses", 0),
    Part("code", 0, None),
    Part("note", 0),
    Part("references", 0, 1, re.compile(rf"{NAME.pattern},{NAME.pattern},{TIME.pattern}( \S+)*")),
    Part("incidents", 0),
    Part("info", 0, None, None, INFO),
)


def faults(document: bytes) -> list[str]:
    """A sentence for each fault; empty where the message is as the protocol says."""
    root = ET.fromstring(document)
    if root.tag != f"{{{NAMESPACE}}}alert":
        return [f"the document is a {root.tag}"]
    found = _inside(root, ALERT, "alert")
    said = {part: root.findtext(f"{{{NAMESPACE}}}{part}") for part in ("msgType", "references", "scope", "restriction")}
    if said["msgType"] in ("Update", "Cancel", "Ack", "Error") and not said["references"]:
        found.append(f"{said['msgType']} without references")
    for reference in (said["references"] or "").split():
        if len(parts := reference.split(",")) != 3 or not TIME.fullmatch(parts[2]):
            found.append(f"{reference} is no reference")
    if (said["scope"] == "Restricted") != (said["restriction"] is not None):
        found.append("restriction goes with scope Restricted")
    return found


def _inside(parent: ET.Element, parts: tuple[Part, ...], where: str) -> list[str]:
    found, waiting = [], list(parent)
    if (parent.text or "").strip():
        found.append(f"text in {where}")
    for part in parts:
        seen = 0
        while waiting and waiting[0].tag == f"{{{NAMESPACE}}}{part.name}":
            found += _one(waiting.pop(0), part, f"{where}/{part.name}")
            seen += 1
        if seen < part.least or (part.most is not None and seen > part.most):
            found.append(f"{where}/{part.name} stands {seen} times")
    return found + [f"{each.tag} is not expected in {where} there" for each in waiting]


def _one(element: ET.Element, part: Part, where: str) -> list[str]:
    if element.attrib:
        return [f"{where} has attributes"]
    if part.text is None:
        return _inside(element, part.parts, where)
    if len(element) or not part.text.fullmatch(element.text or ""):
        return [f"{where} is {element.text!r}"]
    return []
