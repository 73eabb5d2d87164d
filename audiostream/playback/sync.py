"""What is remembered of each device: what it was sent last, its last report, its history."""

from __future__ import annotations

from dataclasses import replace

from .model import DeviceSync, Snapshot

SETTLE_TIME = 2.0
"""Seconds that a device may take to follow what it was told."""
HISTORY_SIZE = 8
"""How many of a device's recent states are remembered at most."""


def record_sent(sync: DeviceSync, former: Snapshot | None, told: Snapshot | None) -> DeviceSync:
    """What the rules know of a device once it is told ``told``; the state had been ``former``.

    Both as ``sighting`` makes them, at the moment of the telling.
    """
    if told is None:
        return sync
    last, reported, recent = sync.last_sent, sync.last_report, sync.history
    if recent and told.at - recent[0].at > SETTLE_TIME:  # the first is the oldest
        recent = tuple(
            [
                seen
                for seen, following in zip(recent, (*recent[1:], None), strict=True)
                if told.at - seen.at <= SETTLE_TIME
                or ((seen is last or seen is reported) and seen is not following)
            ]
        )
    recent = (*recent, told) if former is None else (*recent, former, told)
    return DeviceSync(
        told,
        None,
        recent[-HISTORY_SIZE:],
        False,
        sync.reports_playing and told.is_playing,
        last.at if last else None,
    )


def record_delivered(sync: DeviceSync, now: float) -> DeviceSync:
    """What the rules know of a device that has read only ``now`` what it was told (rule 22)."""
    told = sync.last_sent
    if told is None:
        return sync
    now_told = replace(told, at=now)
    recent = tuple(now_told if seen is told else seen for seen in sync.history)
    return replace(sync, last_sent=now_told, history=recent)


def record_resend(before: DeviceSync, sync: DeviceSync) -> DeviceSync:
    """What the rules know of a device once its silence has been answered (rule 16)."""
    return replace(sync, resend_count=before.resend_count + 1)


def record_report(sync: DeviceSync, report: Snapshot, tolerance: float) -> DeviceSync:
    """What the rules know of a device after its report, before they are tried."""
    recent, previous = sync.history, sync.last_report
    if previous is not None and previous.explains(report, tolerance):
        recent = (*recent[:-1], report)  # it is the last: what is told since makes it no report
    else:
        recent = (*recent, report)[-HISTORY_SIZE:]
    return DeviceSync(  # in full and in order: it is made for every report, and names cost
        sync.last_sent,
        report,
        recent,
        sync.in_sync,
        report.is_playing,
        sync.previous_sent_at,
        False,
        sync.resend_count,
    )


def agreement_is_current(sync: DeviceSync, now: float) -> bool:
    """Whether an agreement is with what the device was told last, and not with something older."""
    return sync.previous_sent_at is None or now - sync.previous_sent_at > SETTLE_TIME


def is_settling(sync: DeviceSync, now: float) -> bool:
    """Whether what the device says may still be older than what it was told."""
    told = sync.last_sent
    return told is not None and not sync.in_sync and now - told.at < SETTLE_TIME


def explains_mixture(recent: tuple[Snapshot, ...], report: Snapshot, tolerance: float) -> bool:
    """Whether the report may be a mixture of the states that a device has lately been in."""
    return (
        any(seen.is_playing == report.is_playing for seen in recent)
        and any(seen.playback_rate == report.playback_rate for seen in recent)
        and any(
            seen.track_id == report.track_id and seen.reaches(report, tolerance) for seen in recent
        )
    )


def has_drifted(sync: DeviceSync, report: Snapshot, tolerance: float) -> bool:
    """Whether the player started late or stalled, rather than a person moved it."""
    told, previous = sync.last_sent, sync.last_report
    if told is not None and sync.in_sync and report.at - told.at >= SETTLE_TIME:
        told = None  # rule 14
    return any(seen is not None and seen.explains(report, tolerance) for seen in (told, previous))
