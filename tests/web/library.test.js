import assert from "node:assert/strict";
import test from "node:test";

import { albumsOf, artistsOf, numberOf } from "../../audiostream/web/js/library/albums.js";
import { Lines } from "../../audiostream/web/js/library/lines.js";
import { fold, letterOf, sortKey, sortedBy } from "../../audiostream/web/js/library/names.js";
import { pastTime } from "../../audiostream/web/js/library/past-time.js";
import { TypeAhead } from "../../audiostream/web/js/library/type-ahead.js";
import {
  albumItems,
  artistItems,
  lettersOf,
  recentItems,
  trackItems,
} from "../../audiostream/web/js/library/views.js";

function track(id, fields = {}) {
  return { id, title: id, streamUrl: `/${id}`, ...fields };
}

const names = (items) => items.map(({ name }) => name);
const titles = (albums) => albums.map(({ artist, title }) => `${artist}: ${title}`);
const ids = ({ tracks }) => tracks.map(({ id }) => id).join("");

test("names are compared without case, accents, strokes and invisible characters", () => {
  assert.equal(fold("Ólafur ŁONA"), "olafur lona");
  assert.equal(fold("a\u200eb\u00adc"), "abc");
  assert.equal(fold("فيروز"), "فيروز");
});

test("numbers in names are sorted by their value", () => {
  const sorted = sortedBy(["Track 10", "track 9", "Track 1", "Track 009"], sortKey);
  assert.deepEqual(sorted, ["Track 1", "track 9", "Track 009", "Track 10"]);
});

test("a name's letter is a capital of its script, and # for all that is no letter", () => {
  const letters = ["über", "Łona", "аквариум", "فيروز", "坂本", "한국", "カタカナ", "99", "🎉", ""];
  assert.equal(letters.map(letterOf).join(""), "ULАف漢한か###");
});

test("tracks with an album artist are one album, whatever their own artists are", () => {
  const album = { album: "Hits", albumArtist: "Various" };
  const [one, ...others] = albumsOf([
    track("b", { ...album, artist: "B", trackNumber: 2 }),
    track("a", { ...album, artist: "A", trackNumber: 1 }),
    track("c", { ...album, albumArtist: "VARIOUS", artist: "C" }),
  ]);
  assert.deepEqual(others, []);
  assert.equal(ids(one), "abc");
  assert.equal(one.artist, "Various");
});

test("without an album artist the track numbers decide whether a title is one album", () => {
  const hits = (id, artist, trackNumber) => track(id, { album: "Greatest Hits", artist, trackNumber });
  const compilation = [hits("a", "One", 1), hits("b", "Two", 2), hits("c", "One", 3)];
  assert.deepEqual(titles(albumsOf(compilation)), ["Various artists: Greatest Hits"]);
  const two = [hits("a", "One", 1), hits("b", "Two", 1), hits("c", "Two", 2)];
  assert.deepEqual(titles(albumsOf(two)), ["One: Greatest Hits", "Two: Greatest Hits"]);
  const unnumbered = [hits("a", "One"), hits("b", "Two")];
  assert.equal(albumsOf(unnumbered).length, 2);
});

test("tracks without an album follow their artist's albums", () => {
  const albums = albumsOf([
    track("a", { artist: "Zoe" }),
    track("b", { artist: "Zoe", album: "Album" }),
    track("c", { artist: "zoë" }),
    track("d"),
  ]);
  assert.deepEqual(titles(albums), [": ", "Zoe: Album", "Zoe: "]);
  assert.equal(ids(albums[2]), "ac");
});

test("tracks of an album are sorted by disc and number, and those without one are last", () => {
  const album = { album: "Album", albumArtist: "Artist" };
  const [one] = albumsOf([
    track("d", { ...album, disc: 2, trackNumber: 1 }),
    track("c", album),
    track("b", { ...album, disc: 1, trackNumber: 10 }),
    track("a", { ...album, trackNumber: 9 }),
  ]);
  assert.equal(ids(one), "abcd");
  assert.deepEqual(one.tracks.map((each) => numberOf(each, one)), ["1-9", "1-10", "1", "2-1"]);
});

test("an album without a second disc shows track numbers alone", () => {
  const [one] = albumsOf([track("a", { album: "Album", disc: 1, trackNumber: 3 })]);
  assert.equal(numberOf(one.tracks[0], one), "3");
});

test("artists have their albums, whatever the case of the name", () => {
  const artists = artistsOf(
    albumsOf([
      track("a", { artist: "Zoe", album: "Two" }),
      track("b", { artist: "ZOE", album: "One" }),
      track("c", { artist: "Ann", album: "Three" }),
    ]),
  );
  assert.deepEqual(artists.map(({ name, albums }) => [name, albums.length]), [["Ann", 1], ["ZOE", 2]]);
});

const SONGS = [
  track("Delta", { artist: "A", album: "B", duration: 30, addedAt: 2 }),
  track("Bravo", { artist: "C", duration: 10, addedAt: 3 }),
  track("alpha", { artist: "D", album: "A", duration: 20 }),
];

test("tracks are sorted by title, album, duration and date, else as the server sends them", () => {
  const order = (sort) => names(trackItems(SONGS, sort)).join(" ");
  assert.equal(order("artist"), "Delta Bravo alpha");
  assert.equal(order("title"), "alpha Bravo Delta");
  assert.equal(order("album"), "alpha Delta Bravo");
  assert.equal(order("short"), "Bravo alpha Delta");
  assert.equal(order("long"), "Delta alpha Bravo");
  assert.equal(order("added"), "Bravo Delta alpha");
});

test("a track is played in the list that is shown, in its order", () => {
  const [first] = trackItems(SONGS, "title");
  assert.equal(ids(first), "alphaBravoDelta");
  assert.equal(first.size, 3);
});

test("an album's header is followed by its tracks, which are played in the album", () => {
  const album = { album: "Album", albumArtist: "Artist" };
  const tracks = [track("a", { ...album, trackNumber: 1 }), track("b", { ...album, trackNumber: 2 })];
  const items = albumItems(albumsOf([...tracks, track("c", { artist: "Zoe" })]), "artist");
  assert.deepEqual(names(items), ["Album", "a", "b", "Without an album", "c"]);
  assert.deepEqual(items.map(({ level }) => level), [1, 2, 2, 1, 2]);
  assert.deepEqual(items.map(({ position, size }) => `${position}/${size}`), ["1/2", "1/2", "2/2", "2/2", "1/1"]);
  assert.equal(ids(items[2]), "ab");
  assert.deepEqual(items[2].number, "2");
});

test("albums are sorted by artist, title or their newest track", () => {
  const albums = albumsOf([
    track("a", { artist: "A", album: "Z", addedAt: 1 }),
    track("b", { artist: "B", album: "Y", addedAt: 2 }),
    track("c", { artist: "A", addedAt: 3 }),
  ]);
  const order = (sort) => names(albumItems(albums, sort).filter(({ kind }) => kind === "album"));
  assert.deepEqual(order("artist"), ["Z", "Without an album", "Y"]);
  assert.deepEqual(order("album"), ["Y", "Z", "Without an album"]);
  assert.deepEqual(order("added"), ["Without an album", "Y", "Z"]);
});

test("an artist shows albums and tracks once it is open", () => {
  const albums = albumsOf([track("a", { artist: "Ann", album: "One" }), track("b", { artist: "Bea" })]);
  const closed = artistItems(albums, new Set());
  assert.deepEqual(names(closed), ["Ann", "Bea"]);
  assert.deepEqual(closed[0].details, ["1 album", "1 track"]);
  const open = artistItems(albums, new Set(["ann"]));
  assert.deepEqual(names(open), ["Ann", "One", "a", "Bea"]);
  assert.deepEqual(open.map(({ level }) => level), [1, 2, 3, 1]);
  assert.deepEqual(open.map(({ isOpen }) => isOpen), [true, undefined, undefined, false]);
});

test("what was played shows when, and where a long track was left", () => {
  const now = Date.UTC(2026, 0, 10);
  const [one, other] = recentItems(
    [
      { track: SONGS[0], playedAt: now - 120_000, position: 754 },
      { track: SONGS[1], playedAt: now - 26 * 3_600_000, position: null },
    ],
    now,
  );
  assert.deepEqual(one.details, ["A", "2 minutes ago", "left at 12:34"]);
  assert.deepEqual(other.details, ["C", "yesterday", ""]);
});

test("moments are told from just now to a date", () => {
  const now = Date.UTC(2026, 0, 10, 12);
  const hour = 3_600_000;
  const told = [-5, 0, hour, 6 * 24 * hour].map((age) => pastTime(now - age, now));
  assert.deepEqual(told, ["just now", "just now", "1 hour ago", "6 days ago"]);
  assert.equal(pastTime(Date.UTC(2025, 11, 24, 12), now), "24 Dec 2025");
});

test("letters lead to the first of their rows, in the order of the list", () => {
  const items = trackItems([track("Alpha"), track("ágnes"), track("Bravo"), track("9")], "title");
  assert.deepEqual(lettersOf(items), [
    { letter: "#", index: 0 },
    { letter: "A", index: 1 },
    { letter: "B", index: 3 },
  ]);
  assert.deepEqual(lettersOf(trackItems(SONGS, "short")), []);
});

const shape = { heights: { track: 10, album: 30 }, columns: 1 };
const kinds = (text) => [...text].map((kind) => ({ kind: kind === "a" ? "album" : "track" }));

test("lines have the heights of their kinds", () => {
  const lines = new Lines(kinds("attat"), shape);
  assert.equal(lines.height, 90);
  assert.deepEqual([0, 1, 2, 3, 4].map((line) => lines.top(line)), [0, 30, 40, 50, 80]);
  assert.deepEqual([-5, 0, 29, 30, 49, 50, 1000].map((y) => lines.lineAt(y)), [0, 0, 0, 1, 2, 3, 4]);
});

test("tracks stand side by side, and an album begins a line of its own", () => {
  const lines = new Lines(kinds("atttat"), { ...shape, columns: 2 });
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((index) => lines.lineOf(index)), [0, 1, 1, 2, 3, 4]);
  assert.equal(lines.height, 90);
  assert.equal(lines.move(2, 1), 3);
  assert.equal(lines.move(1, -1), 0);
  assert.equal(lines.move(3, 100), 5);
});

test("a taller line moves those after it, and the window with them", () => {
  const lines = new Lines(kinds("tttt"), shape);
  assert.equal(lines.expand(1, 5), true);
  assert.equal(lines.expand(1, 5), false);
  assert.deepEqual([0, 1, 2, 3, 4].map((line) => lines.top(line)), [0, 10, 25, 35, 45]);
  assert.equal(lines.lineAt(24), 1);
  assert.equal(lines.expand(-1, 0), true);
  assert.equal(lines.height, 40);
});

test("the window has what can be seen of ten thousand rows, and a few around them", () => {
  const lines = new Lines(kinds("t".repeat(10_000)), shape);
  assert.deepEqual(lines.window(50_000, 50_100, 2), [4_998, 5_013]);
  assert.deepEqual(lines.window(-500, 100, 2), [0, 13]);
  assert.deepEqual(lines.window(99_950, 100_800, 2), [9_993, 10_000]);
  assert.deepEqual(new Lines([], shape).window(0, 100, 2), [0, 0]);
});

test("typed letters lead to the next name that begins with them, in groups to headers alone", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const typeAhead = new TypeAhead();
  const items = [
    { name: "Amber", level: 1 },
    { name: "Ébano", level: 2 },
    { name: "Ébène", level: 1 },
    { name: "Echo", level: 1 },
  ];
  assert.equal(typeAhead.find("e", items, 0), 2);
  assert.equal(typeAhead.find("c", items, 2), 3);
  context.mock.timers.tick(1_000);
  assert.equal(typeAhead.find("a", items, 3), 0);
  assert.equal(typeAhead.find("Tab", items, 0), null);
  assert.equal(typeAhead.find("x", items, 0), undefined);
});
