"""Make the sample recordings: six short original pieces, synthesised, tagged and encoded.

Here: the instruments, the effects, the scores, the covers, and the calls of ffmpeg that measure and
encode. Not here: anything the server needs while it runs. The standard library does all but the
encoding, and every chance is seeded, so the same ffmpeg writes the same files again.

    python sample_media/make_samples.py [--out DIR]
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import wave
import zlib
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

RATE = 32_000
"""Samples per second of everything rendered here."""
LOUDNESS = -16.0
"""LUFS of every finished piece (EBU R 128's measure)."""
KNEE, CEILING = 0.70, 0.84
"""Where peaks begin to be rounded off and what they never exceed; the room above is for codecs."""
ARTIST, ALBUM = "audiostream", "Sample Media"

Signal = list[float]
Partials = tuple[tuple[float, float, float], ...]
"""Of a struck thing: ratio to the fundamental, level, seconds to fall by 60 dB."""
Colour = tuple[int, int, int]

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


# --- Pitch and time -------------------------------------------------------------------------------


def hertz(name: str) -> float:
    """Frequency of a note such as ``F#4`` or ``Bb2``, equal temperament, A4 = 440 Hz."""
    sharp = name.count("#") - name.count("b")
    steps = SEMITONES[name[0]] + sharp + 12 * int(name[-1]) - 57
    return 440.0 * math.exp2(steps / 12)


def chord(names: str) -> list[float]:
    """Frequencies of space-separated notes, in the order written."""
    return [hertz(name) for name in names.split()]


def melody(score: str) -> Iterator[tuple[float, float, float]]:
    """Start (beats), frequency and length (beats) of notes written ``E5/2``; ``-/1`` is a rest."""
    start = 0.0
    for note in score.replace("|", " ").split():
        name, beats = note.split("/")
        if name != "-":
            yield start, hertz(name), float(beats)
        start += float(beats)


# --- Instruments: one note each, mono, about full scale -------------------------------------------


def ringing(frequency: float, decay: float, count: int) -> Iterator[float]:
    """``count`` samples of a sine that falls by 60 dB in ``decay`` seconds.

    A two-pole resonator's impulse response: two multiplications a sample instead of a sine.
    """
    turn = math.tau * frequency / RATE
    shrink = 10 ** (-3 / (decay * RATE))
    forward, back = 2 * shrink * math.cos(turn), -shrink * shrink
    before, now = -math.sin(turn) / shrink, 0.0
    for _ in range(count):
        yield now
        before, now = now, forward * now + back * before


def ramp(seconds: float) -> Signal:
    """A raised-cosine rise from 0 to 1."""
    count = max(1, round(seconds * RATE))
    return [0.5 - 0.5 * math.cos(math.pi * i / count) for i in range(count)]


def shaped(sound: Signal, attack: float, release: float) -> Signal:
    """The sound with its beginning and end faded, in seconds each."""
    rise, fall = ramp(attack), ramp(release)[::-1]
    rise, fall = rise[: len(sound)], fall[-len(sound) :]
    shaped = list(sound)
    shaped[: len(rise)] = [a * b for a, b in zip(sound, rise, strict=False)]
    start = len(shaped) - len(fall)
    shaped[start:] = [a * b for a, b in zip(shaped[start:], fall, strict=True)]
    return shaped


@cache
def struck(
    frequency: float, partials: Partials, seconds: float, attack: float, release: float
) -> Signal:
    """A note that is hit once and rings; what would lie near or above Nyquist is left out."""
    count = round(seconds * RATE)
    sound = [0.0] * count
    for ratio, level, decay in partials:
        if frequency * ratio < 0.42 * RATE:
            sine = ringing(frequency * ratio, decay, count)
            sound = [a + level * b for a, b in zip(sound, sine, strict=True)]
    return shaped(sound, attack, release)


def piano(frequency: float, seconds: float) -> Signal:
    """A felt piano: slightly stretched partials on two strings, and the thump of the hammer."""
    sustain = 8.5 * math.sqrt(220.0 / frequency)
    partials = [(110.0 / frequency, 0.12, 0.12)]
    for k, level in enumerate((1.0, 0.46, 0.22, 0.13, 0.07, 0.035, 0.018), start=1):
        stretched = k * math.sqrt(1 + 0.0003 * k * k)
        decay = sustain / (0.65 + 0.35 * k)
        partials.append((stretched, 0.6 * level, decay))
        partials.append((stretched * 1.0005, 0.4 * level, decay * 1.3))
    return struck(frequency, tuple(partials), seconds + 0.5, 0.005, 0.5)


def electric_piano(frequency: float, seconds: float) -> Signal:
    """A tine piano: round fundamental, a short bell on top."""
    partials = ((1.0, 0.8, 7.0), (2.0, 0.16, 4.0), (3.0, 0.07, 2.0), (7.1, 0.03, 0.35))
    return struck(frequency, partials, seconds + 0.25, 0.006, 0.25)


def marimba(frequency: float) -> Signal:
    """A rosewood bar, its overtones tuned two octaves and a bit over three above."""
    body = 1.5 * math.sqrt(220.0 / frequency)
    partials = ((1.0, 0.9, body), (3.98, 0.22, body * 0.3), (9.4, 0.07, body * 0.12))
    return struck(frequency, partials, 1.3, 0.003, 0.4)


def music_box(frequency: float) -> Signal:
    """A plucked steel tooth: nearly a sine, with the comb's short inharmonic ping."""
    partials = ((1.0, 0.85, 2.2), (2.0, 0.1, 1.3), (3.01, 0.05, 0.8), (6.27, 0.06, 0.25))
    return struck(frequency, partials, 2.2, 0.002, 0.8)


def bell(frequency: float) -> Signal:
    """A small, distant bell; the pair of near fundamentals makes it shimmer."""
    partials = (
        (0.5, 0.16, 7.0),
        (1.0, 0.5, 6.0),
        (1.0021, 0.3, 6.0),
        (2.0, 0.2, 4.0),
        (3.0, 0.1, 2.5),
        (4.21, 0.05, 1.4),
        (5.43, 0.03, 0.8),
    )
    return struck(frequency, partials, 6.0, 0.004, 2.0)


def pad(frequency: float, seconds: float) -> Signal:
    """A warm held tone: six soft harmonics that do not decay, and take their time to swell."""
    partials = tuple((float(k), 0.6 / k**1.7, math.inf) for k in range(1, 7))
    return struck(frequency, partials, seconds, min(2.5, 0.25 * seconds), min(5.0, 0.4 * seconds))


def flute(frequency: float, seconds: float) -> Signal:
    """A breathy-soft lead whose vibrato arrives late."""
    phase, sound = 0.0, []
    for i in range(round((seconds + 0.3) * RATE)):
        at = i / RATE
        vibrato = 0.004 * min(1.0, at / 1.2) * math.sin(math.tau * 4.6 * at)
        phase += math.tau * frequency * (1 + vibrato) / RATE
        sound.append(
            0.7 * math.sin(phase) + 0.13 * math.sin(2 * phase) + 0.05 * math.sin(3 * phase)
        )
    return shaped(sound, 0.14, 0.4)


def bass(frequency: float, seconds: float) -> Signal:
    """A round electric bass; enough second and third harmonic to be heard on small speakers."""
    partials = ((1.0, 0.8, 5.0), (2.0, 0.3, 2.0), (3.0, 0.1, 0.7))
    return struck(frequency, partials, seconds, 0.008, 0.08)


@cache
def kick() -> Signal:
    """A soft bass drum: a sine that falls from 120 Hz to 48 Hz."""
    phase, sound = 0.0, []
    for i in range(round(0.32 * RATE)):
        at = i / RATE
        phase += math.tau * (48 + 72 * math.exp(-at / 0.03)) / RATE
        sound.append(math.sin(phase) * math.exp(-at / 0.09))
    return shaped(sound, 0.002, 0.08)


def noise(seconds: float, seed: int) -> Signal:
    """White noise between -1 and 1."""
    chance = Random(seed)  # noqa: S311 - a sound, not a secret
    return [chance.uniform(-1, 1) for _ in range(round(seconds * RATE))]


@cache
def snare() -> Signal:
    """A brushed snare: a band of noise over a short low tone."""
    band = high_pass(low_pass(low_pass(noise(0.22, 11), 3800), 3800), 700)
    body = ringing(185.0, 0.12, len(band))
    pairs = enumerate(zip(band, body, strict=True))
    sound = [1.6 * a * math.exp(-i / (0.055 * RATE)) + 0.35 * b for i, (a, b) in pairs]
    return shaped(sound, 0.003, 0.05)


@cache
def hat() -> Signal:
    """A closed hi-hat with the edge taken off."""
    band = low_pass(high_pass(noise(0.09, 12), 5500), 9000)
    return shaped([a * math.exp(-i / (0.018 * RATE)) for i, a in enumerate(band)], 0.002, 0.03)


# --- Mixing and effects ---------------------------------------------------------------------------


class Mix:
    """A stereo canvas of fixed length that notes are added to."""

    def __init__(self, seconds: float, *, loose: float = 0.0, seed: int = 1) -> None:
        """Silence; ``loose`` is how late a note may be, in seconds, and with it how much softer."""
        self.left: Signal = [0.0] * round(seconds * RATE)
        self.right: Signal = list(self.left)
        self._loose = loose
        self._chance = Random(seed)  # noqa: S311 - a player's hand, not a secret

    def add(self, sound: Signal, at: float, gain: float, pan: float = 0.0) -> None:
        """Add a sound at a time (seconds), at equal power from left (-1) to right (1)."""
        start = round((at + self._chance.uniform(0, self._loose)) * RATE)
        gain *= 1 - 8 * self._chance.uniform(0, self._loose)
        angle = (pan + 1) * math.pi / 4
        for side, level in ((self.left, math.cos(angle)), (self.right, math.sin(angle))):
            part = side[start : start + len(sound)]
            level *= gain
            side[start : start + len(part)] = [
                a + level * b for a, b in zip(part, sound, strict=False)
            ]

    def add_pad(self, frequency: float, at: float, seconds: float, gain: float) -> None:
        """Add a held tone twice, a little flat on one side and a little sharp on the other."""
        for cents, pan in ((-4, -0.75), (4, 0.75)):
            self.add(pad(frequency * math.exp2(cents / 1200), seconds), at, gain, pan)

    def blend(self, other: Mix) -> None:
        """Lay another mix of the same length over this one."""
        self.left = [a + b for a, b in zip(self.left, other.left, strict=True)]
        self.right = [a + b for a, b in zip(self.right, other.right, strict=True)]


def low_pass(sound: Signal, cutoff: float) -> Signal:
    """A one-pole low-pass; ``cutoff`` in Hz."""
    keep = 1 - math.exp(-math.tau * cutoff / RATE)
    level, filtered = 0.0, []
    for sample in sound:
        level += keep * (sample - level)
        filtered.append(level)
    return filtered


def high_pass(sound: Signal, cutoff: float) -> Signal:
    """What a one-pole low-pass takes away; ``cutoff`` in Hz."""
    return [a - b for a, b in zip(sound, low_pass(sound, cutoff), strict=True)]


def darken(mix: Mix, cutoff: float) -> None:
    """Take the brightness off a mix; ``cutoff`` in Hz."""
    mix.left, mix.right = (low_pass(side, cutoff) for side in (mix.left, mix.right))


def echo(mix: Mix, seconds: float, feedback: float) -> None:
    """Repeats that swap sides each time."""
    left, right, delay = mix.left, mix.right, round(seconds * RATE)
    for i in range(delay, len(left)):
        left[i], right[i] = (
            left[i] + feedback * right[i - delay],
            right[i] + feedback * left[i - delay],
        )


def wow(sound: Signal, depth: float, rate: float) -> Signal:
    """A tape's slow drift: a delay that sways by twice ``depth`` seconds at ``rate`` Hz."""
    swayed = []
    for i in range(len(sound)):
        place = max(0.0, i - depth * RATE * (1 - math.cos(math.tau * rate * i / RATE)))
        low = int(place)
        here, after = sound[low], sound[min(low + 1, len(sound) - 1)]
        swayed.append(here + (place - low) * (after - here))
    return swayed


def diffuse(sound: Signal, delay: int, gain: float = 0.6) -> Signal:
    """An all-pass: smears a click into a patter and leaves the colour alone."""
    inner = [0.0] * delay
    smeared = []
    for i, sample in enumerate(sound):
        old = inner[i]
        fresh = sample + gain * old
        inner.append(fresh)
        smeared.append(old - gain * fresh)
    return smeared


def reverb(mix: Mix, decay: float, wet: float, damping: float = 0.35) -> None:
    """Add a room that falls by 60 dB in ``decay`` seconds: a feedback delay network.

    Eight lines of prime lengths, mixed by a Householder reflection (energy stays as it is), each
    with a one-pole low-pass; even lines hear and feed the left side, odd lines the right.
    """
    lengths = (1031, 1151, 1327, 1481, 1621, 1789, 1951, 2129)
    lines = [[0.0] * length for length in lengths]
    gains = [10 ** (-3 * length / (decay * RATE)) for length in lengths]
    levels = [0.0] * len(lines)
    sides = [diffuse(diffuse(side, 149), 397) for side in (mix.left, mix.right)]
    for i, heard in enumerate(zip(*sides, strict=True)):
        for k, line in enumerate(lines):
            levels[k] += (1 - damping) * (gains[k] * line[i % lengths[k]] - levels[k])
        spread = 0.25 * sum(levels)
        for k, line in enumerate(lines):
            line[i % lengths[k]] = heard[k & 1] + levels[k] - spread
        mix.left[i] += wet * (levels[0] + levels[2] + levels[4] + levels[6])
        mix.right[i] += wet * (levels[1] + levels[3] + levels[5] + levels[7])


# --- The pieces -----------------------------------------------------------------------------------


def first_light() -> Mix:
    """A calm arpeggio for felt piano in D major."""
    mix, beat = Mix(31.0, loose=0.012), 60 / 72
    bars = (
        "D3 A3 E4 F#4 A4", "C#3 A3 E4 A4 C#5", "B2 F#3 D4 F#4 A4", "G2 D3 B3 F#4 A4",
        "F#2 D3 A3 D4 A4", "E3 B3 D4 G4 B4", "A2 E3 A3 D4 E4", "D3 A3 E4 F#4 A4",
    )  # fmt: skip
    for bar, names in enumerate(bars[:7]):
        notes = chord(names)
        for eighth, index in enumerate((0, 1, 2, 3, 4, 3, 2, 1)):
            if bar == 6 and eighth > 3:
                notes[3] = hertz("C#4")
            gain = 0.30 if index == 0 else 0.17
            mix.add(
                piano(notes[index], 2.4), (4 * bar + eighth / 2) * beat, gain, 0.2 * index - 0.4
            )
    for step, note in enumerate((*chord(bars[7]), hertz("D5"))):
        mix.add(piano(note, 7.0), (28 + 0.14 * step) * beat, 0.24, 0.15 * step - 0.4)
    song = "F#5/2 E5/1 D5/1 | B4/2 D5/2 | A5/2 F#5/2 | G5/2 E5/1 D5/1 | E5/1 D5/1 C#5/2"
    for start, note, beats in melody(song):
        mix.add(piano(note, beats * beat + 0.8), (8 + start) * beat, 0.30, 0.15)
    reverb(mix, 2.6, 0.10)
    return mix


def harbour_lights() -> Mix:
    """Warm chords that breathe under a slow flute, in F major."""
    mix, lead, beat = Mix(34.0), Mix(34.0), 0.9
    bars = (
        "F2 C3 A3 E4 G4", "A2 E3 G3 C4 E4", "Bb2 F3 A3 D4", "C3 G3 Bb3 D4 F4",
        "D3 A3 C4 F4", "Bb2 F3 A3 D4", "C3 G3 Bb3 D4", "F2 C3 A3 E4 G4",
    )  # fmt: skip
    for bar, names in enumerate(bars):
        seconds = 7.0 if bar == 7 else 5.2
        for note in chord(names):
            gain = 0.13 * (220 / note) ** 0.35
            mix.add_pad(note, 4 * bar * beat, seconds, gain)
    darken(mix, 2400)
    song = (
        "-/2 C5/2 | E5/3 D5/1 | D5/2 C5/1 A4/1 | G4/3 A4/1 |"
        "C5/2 F5/2 | D5/3 C5/1 | Bb4/2 G4/2 | A4/3"
    )
    for start, note, beats in melody(song):
        lead.add(flute(note, beats * beat), start * beat, 0.34, 0.1)
    echo(lead, 0.64, 0.26)
    mix.blend(lead)
    reverb(mix, 3.6, 0.10)
    return mix


def wooden_rain() -> Mix:
    """Two marimbas that fill each other's gaps, a bass marimba, a tune at the end, in A minor."""
    mix, step = Mix(28.0, loose=0.006), 60 / 112 / 4
    bars = ("A3 C4 E4 G4", "F3 A3 C4 E4", "G3 C4 E4 B4", "G3 B3 D4 A4")
    roots = chord("A2 F2 C3 G2")
    parts = (
        (0, "0.2.13.20.2.31.2", 1, 0.30, -0.6),
        (4, ".3.1.2.3.1.3.2.1", 2, 0.17, 0.6),
        (2, "0.....0...0.....", 0, 0.42, 0.0),
    )
    for bar in range(12):
        notes = chord(bars[bar % 4])
        for first, pattern, octave, gain, pan in parts:
            for sixteenth, mark in enumerate(pattern if bar >= first else ""):
                if mark != ".":
                    note = notes[int(mark)] * octave if octave else roots[bar % 4]
                    accent = 1.0 if sixteenth % 4 == 0 else 0.8
                    mix.add(marimba(note), (16 * bar + sixteenth) * step, gain * accent, pan)
    song = "E5/1 G5/1 E5/1 D5/1 | C5/1.5 D5/1.5 E5/1 | G5/1 E5/1 D5/1 C5/1 | D5/1.5 B4/1.5 D5/1"
    for start, note, _ in melody(song):
        mix.add(marimba(note), (128 + 4 * start) * step, 0.34, 0.15)
    for delay, note in enumerate(chord("C3 G3 E4 C5 E5")):
        mix.add(marimba(note), (192 + 0.3 * delay) * step, 0.34, 0.2 * delay - 0.4)
    reverb(mix, 1.6, 0.09)
    return mix


def late_tram() -> Mix:
    """A slow swung beat, tine piano with a tape's drift, a round bass, in C major."""
    keys, rhythm, beat = Mix(29.5, loose=0.015), Mix(29.5, loose=0.008), 60 / 76
    two, five = ("F3 A3 C4 E4", "D2"), ("F3 A3 B3 E4", "G1")
    one, six = ("E3 G3 B3 D4", "C2"), ("G3 B3 C4 E4", "A1")
    for bar, (names, root) in enumerate((one, six, two, five, one, six, two, five, one)):
        last, at = bar == 8, 4 * bar * beat
        roll = 0.05 if last else 0.0
        for start, beats in ((0.0, 5.0),) if last else ((0.0, 1.4), (1.67, 2.2)):
            for index, note in enumerate(chord(names)):
                sound = electric_piano(note, beats * beat)
                keys.add(sound, at + (start + roll * index) * beat, 0.2, 0.25 * index - 0.4)
        for start, beats in ((0.0, 4.5),) if last else ((0.0, 1.5), (1.67, 0.3), (2.5, 1.3)):
            rhythm.add(bass(hertz(root), beats * beat), at + start * beat, 0.34)
        if 1 < bar < 8:
            beat_bar(rhythm, at, beat)
    song = (
        "-/4 | -/2.67 G4/.33 A4/.67 C5/.33 | E5/1.67 D5/.33 C5/1 A4/1 | B4/1.67 A4/.33 -/2 |"
        "-/1 G4/.67 B4/.33 D5/1 E5/1 | C5/2.67 B4/.33 G4/1 | A4/1 C5/.67 E5/.33 A5/2 |"
        "G5/1 E5/.67 D5/.33 B4/2 | D5/4"
    )
    for start, note, beats in melody(song):
        keys.add(electric_piano(note, beats * beat + 0.2), start * beat, 0.24, 0.3)
    keys.left, keys.right = wow(keys.left, 0.0006, 0.63), wow(keys.right, 0.0006, 0.57)
    darken(keys, 3200)
    echo(keys, 0.75 * beat, 0.16)
    reverb(keys, 1.8, 0.09)
    darken(rhythm, 6500)
    keys.blend(rhythm)
    return keys


def beat_bar(mix: Mix, at: float, beat: float) -> None:
    """One bar of drums, its off-beats swung to two thirds."""
    for start in (0.0, 1.67, 2.5):
        mix.add(kick(), at + start * beat, 0.5)
    for start in (1.0, 3.0):
        mix.add(snare(), at + start * beat, 0.30, 0.08)
    for quarter in range(4):
        mix.add(hat(), at + quarter * beat, 0.16, -0.3)
        mix.add(hat(), at + (quarter + 0.67) * beat, 0.10, -0.3)


def paper_carousel() -> Mix:
    """A music box waltz in G major whose spring runs down."""
    mix = Mix(13.6, loose=0.008)

    def seconds(beats: float) -> float:
        return 60 / 140 * (beats + 0.005 * beats * beats)

    song = (
        "B5/1 D6/1 G6/1 | F#6/2 E6/1 | E6/1.5 D6/.5 C6/1 | D6/2 A5/1 |"
        "B5/1 D6/1 G6/1 | A6/1.5 G6/.5 E6/1 | E6/1 D6/1 F#6/1 | G6/3"
    )
    waltz = ("G4 B4 D5", "E4 B4 G5", "C4 G4 E5", "D4 A4 F#5",
             "G4 B4 D5", "E4 B4 G5", "D4 A4 C5", "G4 B4 D5")  # fmt: skip
    for start, note, _ in melody(song):
        mix.add(music_box(note), seconds(start), 0.34, 0.12)
    for bar, names in enumerate(waltz):
        for beat, note in enumerate(chord(names)):
            mix.add(music_box(note), seconds(3 * bar + beat), 0.26 if beat == 0 else 0.17, -0.15)
    reverb(mix, 1.5, 0.05)
    return mix


def under_the_stars() -> Mix:
    """A low drone on D that leans to G and back, bells far apart above it."""
    mix, bells = Mix(36.0), Mix(36.0)
    swells = (
        ("D2 A2 D3", 0.0, 36.0), ("F#3 A3", 1.0, 13.0), ("G2 B3 D4", 11.0, 12.0),
        ("A2 E3 C#4", 20.0, 9.0), ("A2 D3 F#3 A3", 25.0, 11.0),
    )  # fmt: skip
    for names, start, seconds in swells:
        for note in chord(names):
            gain = 0.11 * (150 / note) ** 0.4
            mix.add_pad(note, start, seconds, gain)
    darken(mix, 1100)
    song = (
        "-/3 A5/2 F#5/3 E5/2 | D5/3 B5/1 A5/3 | G5/1.5 D6/2 B5/3 |"
        "A5/1 E5/2.5 C#6/2 | D6/1.5 A5/2 F#5/2 D5/3"
    )
    for index, (start, note, _) in enumerate(melody(song)):
        bells.add(bell(note), 0.86 * start, 0.2, (-0.55, 0.3, 0.6, -0.2)[index % 4])
    echo(bells, 1.1, 0.25)
    mix.blend(bells)
    reverb(mix, 4.5, 0.11)
    return mix


# --- Covers ---------------------------------------------------------------------------------------


def cover(top: Colour, bottom: Colour, disc: Colour, size: int = 240) -> bytes:
    """A PNG (W3C PNG, third edition): a disc over a vertical gradient, its edge softened."""
    rows = bytearray()
    for y in range(size):
        sky = [a + (b - a) * y / size for a, b in zip(top, bottom, strict=True)]
        rows.append(0)
        for x in range(size):
            inside = 0.34 * size - math.hypot(x - 0.5 * size, y - 0.56 * size)
            share = 0.9 * min(1.0, max(0.0, inside / 3 + 0.5)) * (1 - 0.6 * y / size)
            rows.extend(round(a + (b - a) * share) for a, b in zip(sky, disc, strict=True))
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


# --- Finishing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """One recording: where it goes under the folder, its title, its music, how it is encoded."""

    path: str
    title: str
    play: Callable[[], Mix]
    codec: tuple[str, ...]
    palette: tuple[Colour, Colour, Colour] | None = None


MP3 = ("-c:a", "libmp3lame", "-id3v2_version", "3")
PIECES = (
    Piece(
        "first-light.mp3",
        "First Light",
        first_light,
        (*MP3, "-b:a", "80k"),
        ((38, 52, 98), (246, 176, 128), (255, 232, 190)),
    ),
    Piece(
        "harbour-lights.ogg", "Harbour Lights", harbour_lights, ("-c:a", "libvorbis", "-q:a", "3")
    ),
    Piece(
        "wooden-rain.m4a",
        "Wooden Rain",
        wooden_rain,
        ("-c:a", "aac", "-aac_coder", "fast", "-b:a", "72k", "-movflags", "+faststart"),
    ),
    Piece(
        "late-tram.opus",
        "Late Tram",
        late_tram,
        ("-c:a", "libopus", "-vbr", "constrained", "-b:a", "64k"),
    ),
    Piece(
        "paper-carousel.flac",
        "Paper Carousel",
        paper_carousel,
        ("-c:a", "flac", "-compression_level", "12"),
        ((120, 60, 110), (250, 205, 190), (255, 240, 215)),
    ),
    Piece(
        "users/demo/under-the-stars.mp3", "Under the Stars", under_the_stars, (*MP3, "-b:a", "56k")
    ),
)


def run_ffmpeg(ffmpeg: str, *arguments: str) -> str:
    """Run ffmpeg and answer what it logged; raises CalledProcessError when it fails."""
    done = subprocess.run(  # noqa: S603 - the arguments are all written in this file
        [ffmpeg, "-hide_banner", "-nostdin", "-y", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr


def loudness(ffmpeg: str, recording: Path) -> float:
    """Integrated loudness in LUFS, by ffmpeg's EBU R 128 meter."""
    log = run_ffmpeg(ffmpeg, "-i", str(recording), "-af", "ebur128", "-f", "null", "-")
    return float(re.findall(r"I:\s+(-?[\d.]+) LUFS", log)[-1])


def rounded(sample: float) -> float:
    """The sample with what lies above the knee bent to stay under the ceiling."""
    size, room = abs(sample), CEILING - KNEE
    if size <= KNEE:
        return sample
    return math.copysign(KNEE + room * math.tanh((size - KNEE) / room), sample)


def write_wave(mix: Mix, gain: float, target: Path) -> None:
    """Write a mix as 16-bit stereo PCM at a gain."""
    pairs = zip(mix.left, mix.right, strict=True)
    frames = array("h", (round(32767 * rounded(gain * s)) for pair in pairs for s in pair))
    if sys.byteorder == "big":
        frames.byteswap()
    with wave.open(str(target), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(frames.tobytes())


def make(piece: Piece, ffmpeg: str, folder: Path) -> str:
    """Render, level, tag and encode one piece; answer a line to print."""
    mix = piece.play()
    mix.left, mix.right = (shaped(side, 0.03, 2.5) for side in (mix.left, mix.right))
    target = folder / piece.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        recording, picture = Path(scratch, "piece.wav"), Path(scratch, "cover.png")
        gain = 0.5 / max(map(abs, mix.left + mix.right))
        write_wave(mix, gain, recording)
        write_wave(mix, gain * 10 ** ((LOUDNESS - loudness(ffmpeg, recording)) / 20), recording)
        sources = ["-i", str(recording)]
        if piece.palette:
            picture.write_bytes(cover(*piece.palette))
            sources += ["-i", str(picture), "-map", "0", "-map", "1", "-c:v", "copy",
                        "-disposition:v", "attached_pic"]  # fmt: skip
        tags = {"title": piece.title, "artist": ARTIST, "album": ALBUM}
        named = [word for key, value in tags.items() for word in ("-metadata", f"{key}={value}")]
        run_ffmpeg(ffmpeg, *sources, *named, *piece.codec, "-bitexact", str(target))
    return f"{piece.path}: {len(mix.left) / RATE:.1f} s, {target.stat().st_size} bytes"


def main() -> int:
    """Make every piece, one process each; answer the exit code."""
    parser = argparse.ArgumentParser(description="Make the sample recordings.")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent, help="folder to write to (this one)"
    )
    folder: Path = parser.parse_args().out
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        print("make_samples: ffmpeg is not installed or not on the PATH", file=sys.stderr)
        return 1
    count = len(PIECES)
    try:
        with ProcessPoolExecutor() as pool:
            for line in pool.map(make, PIECES, [ffmpeg] * count, [folder] * count):
                print(line)
    except subprocess.CalledProcessError as error:
        print(f"make_samples: ffmpeg: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
