"""What is remembered of each device: what it was sent last, its last report, its history.

``history`` has what a device was sent and what it reported, and the user's state before each
sending, of the last ``SETTLE_TIME`` before ``last_sent`` and since; of what is older, only the last
report and the last state sent. A report that continues the one before replaces it.
"""

from __future__ import annotations

from dataclasses import replace

from .model import POSITION_ROUNDING, DeviceSync, Snapshot

SETTLE_TIME = 2.0
"""Seconds for a device to apply what it was sent, and to report: 0.8 s each way, and a seek."""
HISTORY_SIZE = 200
"""Snapshots kept of a device: those of a seek bar that is dragged for SETTLE_TIME at 30 seeks a
second, each of which adds three. Where fewer are kept than the network has on the way, the echo of
each seek is taken for the next one, without end."""
USUAL_SIZE = 8
"""Snapshots up to which each is kept, as each report copies all of them. From then on, one that
continues another replaces it; beyond twice as many, a report drops the old ones."""


def record_sent(sync: DeviceSync, former: Snapshot | None, sent: Snapshot | None) -> DeviceSync:
    """Return what is remembered of a device that is sent ``sent``; the state was ``former``.

    Both are snapshots of the moment of sending. Without a track, nothing is remembered (R12).
    """
    if sent is None:
        return sync
    last, report, history = sync.last_sent, sync.last_report, sync.history
    if history and sent.at - history[0].at > SETTLE_TIME:  # the first is the oldest
        history = _without_old(history, sent.at, last, report)
    seen = (sent,) if former is None or former is sent else (former, sent)
    return DeviceSync(
        last_sent=sent,
        history=_extended(history, seen),
        reports_playing=sync.reports_playing and sent.is_playing,
        previous_sent_at=last.at if last else None,
    )


def _extended(
    history: tuple[Snapshot, ...],
    seen: tuple[Snapshot, ...],
    tolerance: float = POSITION_ROUNDING,
) -> tuple[Snapshot, ...]:
    """Return ``history`` and ``seen``, without what ``seen`` continues once there is much of it.

    That is the last one, or within ``tolerance`` the one before: a device that asks for the state
    all the time is sent it between its reports. A full history loses a quarter, as all is copied
    each time.
    """
    size = len(history)
    if size >= USUAL_SIZE:
        if history[-1].explains(seen[0], POSITION_ROUNDING):
            history = history[:-1]
        elif history[-2].explains(seen[0], tolerance):
            history = (*history[:-2], history[-1])
    if size > HISTORY_SIZE - len(seen):
        history = history[HISTORY_SIZE // 4 :]
    return history + seen


def _without_old(
    history: tuple[Snapshot, ...], now: float, last: Snapshot | None, report: Snapshot | None
) -> tuple[Snapshot, ...]:
    """Return of what is older than SETTLE_TIME only what was sent ``last``, and the last report."""
    recent = 0
    while recent < len(history) and now - history[recent].at > SETTLE_TIME:
        recent += 1
    older = [
        seen
        for seen, following in zip(history[:recent], (*history[1:], None), strict=False)
        if (seen is last or seen is report) and seen is not following
    ]
    return (*older, *history[recent:])


def record_delivered(sync: DeviceSync, now: float) -> DeviceSync:
    """Return what is remembered of a device that received ``last_sent`` only ``now`` (R22)."""
    sent = sync.last_sent
    if sent is None:
        return sync
    delivered = replace(sent, at=now)
    history = tuple(delivered if seen is sent else seen for seen in sync.history)
    return replace(sync, last_sent=delivered, history=history)


def record_resend(before: DeviceSync, sync: DeviceSync) -> DeviceSync:
    """Return what is remembered of a device that was sent the state again (R16)."""
    return replace(sync, resend_count=before.resend_count + 1)


def record_report(sync: DeviceSync, report: Snapshot, tolerance: float) -> DeviceSync:
    """Return what is remembered of a device after its report, before the rules are tried."""
    history, previous = sync.history, sync.last_report
    if len(history) > 2 * USUAL_SIZE and not is_settling(sync, report.at):
        history = _without_old(history, report.at, sync.last_sent, previous)
    if previous is not None and previous.explains(report, tolerance):
        history = (*history[:-1], report)  # ``previous`` is the last: sending clears it
    else:
        history = _extended(history, (report,), tolerance)
    return DeviceSync(  # one for every report: by keyword it takes 0.2 µs more
        sync.last_sent,
        report,
        history,
        sync.in_sync,
        report.is_playing,
        sync.previous_sent_at,
        sync.resend_count,
    )


def record_agreement(sync: DeviceSync, now: float) -> DeviceSync:
    """Return what is remembered of a device that agrees with the state."""
    previous = sync.previous_sent_at
    if sync.in_sync or (previous is not None and now - previous <= SETTLE_TIME):  # R15
        return sync
    return replace(sync, in_sync=True)


def is_settling(sync: DeviceSync, now: float) -> bool:
    """Whether what the device reports may be older than what it was sent (R3)."""
    sent = sync.last_sent
    return sent is not None and not sync.in_sync and now - sent.at < SETTLE_TIME


def explains_mixture(history: tuple[Snapshot, ...], report: Snapshot, tolerance: float) -> bool:
    """Whether the report may mix the states that a device has lately been in (R3)."""
    return (
        any(seen.is_playing == report.is_playing for seen in history)
        and any(seen.playback_rate == report.playback_rate for seen in history)
        and any(
            seen.track_id == report.track_id and seen.explains_position(report, tolerance)
            for seen in history
        )
    )


def has_drifted(sync: DeviceSync, report: Snapshot, tolerance: float) -> bool:
    """Whether the player started late or stalled, rather than a user moved it (R4)."""
    sent, previous = sync.last_sent, sync.last_report
    if sent is not None and sync.in_sync and report.at - sent.at >= SETTLE_TIME:
        sent = None  # R14
    return any(seen is not None and seen.explains(report, tolerance) for seen in (sent, previous))
