BEGIN TRANSACTION;
CREATE TABLE playback (
    user_id TEXT PRIMARY KEY,
    track_id TEXT NOT NULL,
    position REAL NOT NULL,
    is_playing INTEGER NOT NULL,
    playback_rate REAL NOT NULL,
    rev INTEGER NOT NULL,
    updated_at REAL NOT NULL,
    device_id TEXT
, reached_at REAL, is_abandoned INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
INSERT INTO "playback" VALUES('ada','hers',42.0,0,1.0,6,1.79572632573615980147e+09,NULL,1.79572632573615121841e+09,0);
INSERT INTO "playback" VALUES('bob','song',7.68169686799956252798e+00,1,1.0,1,1.79572632573734760285e+09,NULL,1.79572632591903662679e+09,0);
CREATE TABLE position (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    left_at REAL NOT NULL,
    position REAL NOT NULL,
    PRIMARY KEY (user_id, track_id, left_at)
) WITHOUT ROWID;
INSERT INTO "position" VALUES('ada','hers',1.79572632573615980147e+09,42.0);
INSERT INTO "position" VALUES('ada','other',1.7957263257345950603e+09,25.0);
INSERT INTO "position" VALUES('ada','song',1.79572632573255252835e+09,1.00020389910023368431e+01);
INSERT INTO "position" VALUES('ada','song',1.79572632573373150823e+09,5.0001772072997482609e+01);
CREATE TABLE revoked (
    user_id TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "revoked" VALUES('cleo',1.79572632750844502448e+09);
CREATE TABLE scanned (
    folder TEXT NOT NULL,
    path TEXT NOT NULL,
    identity TEXT NOT NULL,
    title TEXT,
    artist TEXT,
    album TEXT,
    duration REAL,
    album_artist TEXT,
    disc INTEGER,
    track_number INTEGER,
    PRIMARY KEY (folder, path)
) WITHOUT ROWID;
INSERT INTO "scanned" VALUES('/media','other.wav','18ebb3942b92b26b.18ebb3942b92b26b.ea62c.20e1e9',NULL,NULL,NULL,60.0,NULL,NULL,NULL);
INSERT INTO "scanned" VALUES('/media','song.wav','18ebb3942b7a1679.18ebb3942b7a1679.ea62c.20e1e4',NULL,NULL,NULL,60.0,NULL,NULL,NULL);
INSERT INTO "scanned" VALUES('/media','users/ada/hers.wav','18ebb3942ba4cf41.18ebb3942ba4cf41.ea62c.20e1ed',NULL,NULL,NULL,60.0,NULL,NULL,NULL);
CREATE TABLE track_history (
    user_id TEXT NOT NULL,
    track_id TEXT NOT NULL,
    stopped_at REAL NOT NULL,
    gone_since REAL,
    PRIMARY KEY (user_id, track_id)
) WITHOUT ROWID;
INSERT INTO "track_history" VALUES('ada','hers',1.79572632573615980147e+09,NULL);
INSERT INTO "track_history" VALUES('ada','other',1.7957263257345950603e+09,NULL);
INSERT INTO "track_history" VALUES('ada','song',1.79572632573373150823e+09,NULL);
CREATE INDEX track_history_by_age ON track_history (user_id, stopped_at);
COMMIT;
PRAGMA application_id = 1635083369;
PRAGMA user_version = 3;
