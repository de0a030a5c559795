"""Who is who: the five roles, and whose desk an alert lies on."""

from __future__ import annotations

from enum import StrEnum

from devices.model import StationKind


class Role(StrEnum):
    """What an account is for; one account has one role in one municipality."""

    DISASTER = "disaster"
    WATER = "water"
    TOURISM = "tourism"
    DIGITAL = "digital"
    VIEWER = "viewer"


READERS = frozenset(Role)
DESKS = READERS - {Role.VIEWER}
# Who may see single pipes: where a town's water can be cut off is not for everyone.
PIPE_KEEPERS = frozenset({Role.WATER, Role.DIGITAL})


def desks_of(rule: str, kind: StationKind | None) -> frozenset[Role]:
    """The roles that may acknowledge, comment on and clear an alert of this rule at this kind of station.

    The desk that watches the place, and for silence the digital section too: a silent device is a fault before
    it is anything else. What has no station (`kind` None) is about the operation, and the digital section's alone.
    """
    if kind is None:
        return frozenset({Role.DIGITAL})
    desk = Role(kind.desk)
    return frozenset({desk, Role.DIGITAL}) if rule == "silence" else frozenset({desk})
