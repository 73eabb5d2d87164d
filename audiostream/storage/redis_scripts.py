"""The Lua scripts that run in Redis. Each is atomic, and one round trip.

All keys of a script have one hash tag. Numbers of a client are kept as the texts that it sent: Lua
prints only 14 digits of a float, so that those which are computed here are printed with 17.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Script:
    """A script; ``digest`` is how EVALSHA names it. ``is_repeatable``: running it twice is the
    same as once, so that it is run again where the connection was lost before the answer.
    """

    text: str
    is_repeatable: bool
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


_STORED: Final = """
local function stored()
  return {redis.call('HMGET', KEYS[1], 'version', 'change_id', 'state', 'queue',
    'applied'),
    redis.call('HVALS', KEYS[2])}
end
"""
_DEVICES: Final = """
local place
local function take()
  place = place + 1
  return ARGV[place]
end
local function write_devices(key)
  for _ = 1, tonumber(take()) do redis.call('HDEL', key, take()) end
  for _ = 1, tonumber(take()) do redis.call('HSET', key, take(), take()) end
end
"""
LOAD: Final = Script(_STORED + "return stored()", True)
"""KEYS: room, devices. Returns {version, change_id, state, queue, applied}, {rows}."""

COMMIT: Final = Script(
    _STORED
    + _DEVICES
    + """
local room, devices, changes, stops, stopped, played, played_at = unpack(KEYS)
local expected, version, id, state, applied, writes_queue, queue = unpack(ARGV, 1, 7)
local channel, publication, ids_kept, points_kept, tracks_kept, history_kept, dropped_at_once =
  unpack(ARGV, 8, 14)
place = 14
local function append(order, track)
  local last = tonumber(redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')[2]) or 0
  redis.call('ZADD', order, string.format('%.0f', last + 1), track)
end
local function drop_excess(order, values, kept)
  local excess = redis.call('ZCARD', order) - kept
  if excess > 0 then
    local dropped = redis.call('ZPOPMIN', order, math.min(excess, tonumber(dropped_at_once)))
    for i = 1, #dropped, 2 do redis.call('HDEL', values, dropped[i]) end
  end
end
local function add_stop_point(track, position, at)
  local lines = redis.call('HGET', stops, track) or ''
  local newest = tonumber(string.match(lines, '^%S+ (%S+)\\n'))
  if newest and tonumber(at) <= newest then at = string.format('%.17g', newest + 0.001) end
  lines = position .. ' ' .. at .. '\\n' .. lines
  local cut = 0
  for _ = 1, tonumber(points_kept) do
    cut = cut and string.find(lines, '\\n', cut + 1, true)
  end
  redis.call('HSET', stops, track, string.sub(lines, 1, cut or -1))
  append(stopped, track)
end
if redis.call('LPOS', changes, id) then return 1 end
if (tonumber(redis.call('HGET', room, 'version')) or 0) ~= tonumber(expected) then
  return stored()
end
redis.call('HSET', room, 'version', version, 'change_id', id, 'state', state, 'applied', applied)
if writes_queue == '1' then redis.call('HSET', room, 'queue', queue) end
redis.call('LPUSH', changes, id)
redis.call('LTRIM', changes, 0, ids_kept - 1)
write_devices(devices)
local stop_points = tonumber(take())
for _ = 1, stop_points do add_stop_point(take(), take(), take()) end
if stop_points > 0 then drop_excess(stopped, stops, tracks_kept) end
local tracks = tonumber(take())
for _ = 1, tracks do
  local track, at = take(), take()
  append(played, track)
  redis.call('HSET', played_at, track, at)
end
if history_kept == '0' then
  redis.call('DEL', played, played_at)
elseif tracks > 0 then
  drop_excess(played, played_at, history_kept)
end
redis.call('PUBLISH', channel, publication)
return 1
""",
    True,
)
"""KEYS: those named in the script. Returns 1, also where it had stored the same change before; or
what is stored, like LOAD."""

ANNOUNCE: Final = Script(
    _DEVICES
    + """
place = 2
write_devices(KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
""",
    False,
)
"""KEYS: devices."""

HISTORY: Final = Script(
    """
local page = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0,
  ARGV[2])
local entries = {}
for i = 1, #page, 2 do
  local lines = redis.call('HGET', KEYS[3], page[i]) or ''
  entries[#entries + 1] = {page[i], page[i + 1], redis.call('HGET', KEYS[2], page[i]) or '',
    string.match(lines, '^%S+') or ''}
end
return entries
""",
    True,
)
"""KEYS: played, played_at, stops. Returns {track, ordinal, when, position} for each entry."""

RENEW: Final = Script(
    """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], string.format('%.6f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - ARGV[2]))
return {time[1], time[2], redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')}
""",
    True,
)
"""KEYS: processes. Returns the seconds and microseconds of the clock, and members with scores."""

REVOKED: Final = Script(
    """
local version = redis.call('GET', KEYS[2]) or '0'
if version == ARGV[1] then return {version} end
return {version, redis.call('HGETALL', KEYS[1])}
""",
    True,
)
"""KEYS: users, version. Returns the version alone where it is the same still."""

REVOKE: Final = Script(
    """
for i = 2, #ARGV, 2 do
  local user, at = ARGV[i], ARGV[i + 1]
  local before = tonumber(redis.call('HGET', KEYS[1], user))
  if before and tonumber(at) <= before then
    at = ARGV[1] == 'later' and string.format('%.17g', before + 0.001) or nil
  end
  if at then redis.call('HSET', KEYS[1], user, at) end
end
local version = redis.call('INCR', KEYS[2])
if version == 1 then
  local time = redis.call('TIME')
  redis.call('SET', KEYS[2], time[1] .. string.format('%06d', time[2]))
end
""",
    False,
)
"""KEYS: users, version. ``later``: a revocation counts from just after the one before; ``kept``:
the later of both stays. The first version is a time, so that one that was lost does not return."""

EXCHANGE: Final = Script(
    """
local process, streams, commands, forgotten_after = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local function others(key)
  local found, fields = {}, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local first, second, at = string.match(fields[i + 1], '^(%d+) (%d+) (%S+)$')
    local age = now - (tonumber(at) or 0)
    if age > tonumber(forgotten_after) then
      redis.call('HDEL', key, fields[i])
    elseif fields[i] ~= process then
      found[#found + 1] = {fields[i], first, second, string.format('%.3f', age)}
    end
  end
  return found
end
local function note(key, first, second)
  redis.call('HSET', key, process, string.format('%d %d %.3f', first, second, now))
  redis.call('EXPIRE', key, forgotten_after)
end
if streams == '0' then
  redis.call('HDEL', KEYS[1], process)
else
  note(KEYS[1], streams, 0)
end
if commands ~= '0' then
  local total = string.match(redis.call('HGET', KEYS[2], process) or '', '^%d+') or 0
  note(KEYS[2], total + commands, commands)
end
return {others(KEYS[1]), others(KEYS[2])}
""",
    False,
)
"""KEYS: streams, commands. Returns, of each other process: {process, streams, 0, age in seconds};
and {process, all commands so far, those noted last, age}."""
