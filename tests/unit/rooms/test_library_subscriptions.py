"""Who is sent ``libraryUpdated``, and when."""

from __future__ import annotations

from pathlib import Path

from audiostream.library.library import Library
from audiostream.rooms.library_subscriptions import BATCH_SIZE, LibrarySubscriptions
from tests.support.audio_files import write_wav
from tests.support.fakes import RecordingSendQueue


def notify(subscriptions: LibrarySubscriptions) -> int:
    """Notify all subscribers, and return after how many batches others would have run."""
    return sum(1 for _ in subscriptions.notify())


def versions(queue: RecordingSendQueue) -> list[str]:
    return [data["version"] for _, data, _ in queue.frames]


def test_a_subscriber_to_an_empty_library_is_sent_when_its_first_scan_ends(tmp_path: Path) -> None:
    subscriptions, queue = LibrarySubscriptions(Library(tmp_path)), RecordingSendQueue()
    assert subscriptions.subscribe(queue).is_scanning
    with subscriptions.scanning():
        notify(subscriptions)
    notify(subscriptions)
    notify(subscriptions)
    assert [data["isScanning"] for _, data, _ in queue.frames] == [True, False]


def test_each_subscriber_is_sent_a_new_version_once_though_two_notifications_overlap(
    media: Path,
) -> None:
    library = Library(media)
    subscriptions = LibrarySubscriptions(library)
    queues = [RecordingSendQueue() for _ in range(2 * BATCH_SIZE + 1)]
    for queue in queues:
        subscriptions.subscribe(queue)
    library.scan()
    write_wav(media / "new.wav", 1.0)
    library.scan()
    first, second = subscriptions.notify(), subscriptions.notify()
    assert [next(first, "ended"), next(second, "ended")] == [None, "ended"]
    assert [next(first, "ended"), next(first, "ended")] == [None, "ended"]
    for queue in queues:
        assert len(versions(queue)) == len(set(versions(queue))) == 2


def test_a_version_published_between_two_batches_is_what_the_second_batch_is_sent(
    media: Path,
) -> None:
    library = Library(media)
    library.scan()
    subscriptions = LibrarySubscriptions(library)
    queues = [RecordingSendQueue() for _ in range(BATCH_SIZE + 1)]
    for queue in queues:
        subscriptions.subscribe(queue)
    write_wav(media / "new.wav", 1.0)
    library.scan()
    batches = subscriptions.notify()
    next(batches)
    write_wav(media / "newer.wav", 1.0)
    library.scan()
    assert next(batches, "ended") == "ended"
    assert notify(subscriptions) == 1
    assert [len(versions(queues[0])), len(versions(queues[-1]))] == [3, 2]
    assert versions(queues[0])[-1] == versions(queues[-1])[-1] == subscriptions.status.version


def test_a_device_that_unsubscribed_is_sent_nothing(media: Path) -> None:
    library = Library(media)
    library.scan()
    subscriptions = LibrarySubscriptions(library)
    leaving, staying = RecordingSendQueue(), RecordingSendQueue()
    for queue in (leaving, staying):
        subscriptions.subscribe(queue)
    for _ in range(2):
        subscriptions.unsubscribe(leaving)
    (media / "song.wav").unlink()
    library.scan()
    notify(subscriptions)
    assert (len(leaving.frames), len(staying.frames)) == (1, 2)
