"""Settings are read by the table, and a wrong value is refused with what to do about it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from audiostream.errors import SettingsError
from audiostream.setting_parsers import parse_host_and_port
from audiostream.settings import Limits, Settings, settings_table

SECRET = "s" * 32


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"JWT_SECRET": SECRET, "AUDIOSTREAM_MEDIA": str(tmp_path), "HOME": "/home/ada"}


def test_without_variables_the_defaults_apply(environ: dict[str, str], tmp_path: Path) -> None:
    assert Settings.load(environ) == Settings(
        jwt_secret=SECRET,
        media=tmp_path,
        jwt_user_claim="sub",
        jwt_audience=None,
        jwt_issuer=None,
        jwt_require_exp=False,
        allow_weak_secret=False,
        host="0.0.0.0",
        port=3000,
        public_streams=False,
        cors_origins=(),
        sync_tolerance=1.0,
        state=Path("/home/ada/.local/state/audiostream/state.sqlite3"),
        limits=Limits(),
        json_log=False,
        access_log=True,
        trusted_proxies=(),
        fast_path=True,
    )


def test_values_are_parsed_from_their_variables(environ: dict[str, str]) -> None:
    settings = Settings.load(
        environ
        | {
            "JWT_USER_CLAIM": "uid",
            "JWT_AUDIENCE": "music",
            "JWT_ISSUER": "home",
            "JWT_REQUIRE_EXP": "1",
            "AUDIOSTREAM_HOST": "127.0.0.1",
            "AUDIOSTREAM_PORT": "8080",
            "AUDIOSTREAM_STREAM_AUTH": "public",
            "AUDIOSTREAM_SYNC_TOLERANCE": "0.5",
            "CORS_ORIGINS": "https://Music.example, http://localhost:5173/",
            "AUDIOSTREAM_TRUSTED_PROXIES": "127.0.0.1",
            "AUDIOSTREAM_X_ACCEL": "/protected/audio-1/",
        }
    )
    assert (settings.jwt_user_claim, settings.jwt_audience) == ("uid", "music")
    assert (settings.jwt_issuer, settings.jwt_require_exp) == ("home", True)
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert settings.public_streams
    assert settings.sync_tolerance == 0.5
    assert settings.x_accel == "/protected/audio-1/"
    assert settings.cors_origins == ("https://music.example", "http://localhost:5173")


def test_the_host_variable_names_several_hosts_separated_by_commas(environ: dict[str, str]) -> None:
    text = "127.0.0.1, [::1],, fe80::1%eth0 ,music.local, unix:/run/a b/audio.sock"
    assert Settings.load(environ | {"AUDIOSTREAM_HOST": text}).hosts == (
        "127.0.0.1",
        "::1",
        "fe80::1%eth0",
        "music.local",
        "unix:/run/a b/audio.sock",
    )


def test_trusted_proxies_are_addresses_and_networks_of_both_versions(
    environ: dict[str, str],
) -> None:
    text = "127.0.0.1, 10.0.0.0/8,, ::1, 2001:db8::/32, ::ffff:192.0.2.0/120, UNIX"
    proxies = Settings.load(environ | {"AUDIOSTREAM_TRUSTED_PROXIES": text}).trusted_proxies
    assert proxies == (
        "127.0.0.1/32",
        "10.0.0.0/8",
        "::1/128",
        "2001:db8::/32",
        "192.0.2.0/24",
        "unix",
    )


def test_an_argument_wins_over_the_environment(environ: dict[str, str]) -> None:
    overrides = {"AUDIOSTREAM_PORT": "9", "AUDIOSTREAM_HOST": None}
    settings = Settings.load(environ | {"AUDIOSTREAM_HOST": "h"}, overrides)
    assert (settings.port, settings.host) == (9, "h")


def test_the_media_folder_is_that_of_the_checkout_where_there_is_one() -> None:
    assert Settings.load({"JWT_SECRET": SECRET}).media.name == "sample_media"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"AUDIOSTREAM_STATE": ":memory:"}, None),
        ({"AUDIOSTREAM_STATE": "here.db"}, Path("here.db")),
        ({"XDG_STATE_HOME": "/x"}, Path("/x/audiostream/state.sqlite3")),
        (
            {"STATE_DIRECTORY": "/var/lib/audiostream:/other"},
            Path("/var/lib/audiostream/state.sqlite3"),
        ),
    ],
)
def test_the_state_file_is_named_or_in_the_user_s_state_directory(
    environ: dict[str, str], changes: dict[str, str], state: Path | None
) -> None:
    assert Settings.load(environ | changes).state == state


def test_every_limit_has_a_variable(environ: dict[str, str]) -> None:
    names = [item.name for item in fields(Limits)]
    given = {f"AUDIOSTREAM_{name.upper()}": str(at) for at, name in enumerate(names, 1)}
    limits = Settings.load(environ | given).limits
    assert [getattr(limits, name) for name in names] == list(range(1, len(names) + 1))


def test_every_field_but_the_limits_has_a_variable_of_its_own() -> None:
    variables = [
        row.variable for row in (settings_table(Settings) | settings_table(Limits)).values()
    ]
    assert settings_table(Settings).keys() | {"limits"} == {item.name for item in fields(Settings)}
    assert len(variables) == len(set(variables)) == len(fields(Settings)) - 1 + len(fields(Limits))


def test_the_table_of_limits_shows_their_defaults() -> None:
    for name, row in settings_table(Limits).items():
        assert row.variable == f"AUDIOSTREAM_{name.upper()}"
        assert row.default.startswith(str(getattr(Limits(), name)))


def test_a_short_secret_is_accepted_where_the_switch_allows_it(environ: dict[str, str]) -> None:
    weak = environ | {"JWT_SECRET": "short", "AUDIOSTREAM_ALLOW_WEAK_SECRET": "1"}
    assert Settings.load(weak).has_weak_secret


def test_the_secret_is_not_shown_where_settings_are_printed(environ: dict[str, str]) -> None:
    assert SECRET not in repr(Settings.load(environ))


def test_a_password_and_the_token_of_metrics_are_not_shown_either(environ: dict[str, str]) -> None:
    secrets = {
        "AUDIOSTREAM_REDIS": "redis://:hidden@redis:6379/0",
        "AUDIOSTREAM_METRICS_TOKEN": "hidden",
    }
    assert "hidden" not in repr(Settings.load(environ | secrets))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9100", ("127.0.0.1", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("[fe80::1%eth0]:9100", ("fe80::1%eth0", 9100)),
        ("localhost:0", ("localhost", 0)),
        ("unix:/run/audiostream/metrics.sock", ("unix:/run/audiostream/metrics.sock", 0)),
    ],
)
def test_metrics_have_an_address_of_their_own(
    environ: dict[str, str], text: str, address: tuple[str, int]
) -> None:
    assert Settings.load(environ | {"AUDIOSTREAM_METRICS": text}).exposes_metrics
    assert parse_host_and_port("AUDIOSTREAM_METRICS", text) == address


def test_metrics_are_off_by_default(environ: dict[str, str]) -> None:
    assert not Settings.load(environ).exposes_metrics


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"JWT_SECRET": ""}, "JWT_SECRET is not set. Make one with"),
        ({"JWT_SECRET": "x" * 31}, "shorter than 32 bytes"),
        ({"AUDIOSTREAM_MEDIA": "/does/not/exist"}, "is not a directory. Name one with --media"),
        ({"AUDIOSTREAM_PORT": "http"}, "must be a number between 0 and 65535, not 'http'"),
        ({"AUDIOSTREAM_PORT": "65536"}, "between 0 and 65535"),
        ({"AUDIOSTREAM_PORT": "-1"}, "between 0 and 65535"),
        ({"AUDIOSTREAM_PORT": "٣٠٠٠"}, "between 0 and 65535"),
        ({"AUDIOSTREAM_SYNC_TOLERANCE": "soon"}, "must be a number of seconds, not 'soon'"),
        ({"AUDIOSTREAM_SYNC_TOLERANCE": "nan"}, "between 0 and 60"),
        ({"AUDIOSTREAM_SYNC_TOLERANCE": "-1"}, "between 0 and 60"),
        ({"AUDIOSTREAM_MAX_HISTORY": "-1"}, "must be a whole number, 0 or more, not '-1'"),
        ({"AUDIOSTREAM_MAX_HISTORY": "10001"}, "between 0 and 10000"),
        ({"AUDIOSTREAM_STREAM_AUTH": "open"}, "must be 'required' or 'public', not 'open'"),
        ({"JWT_REQUIRE_EXP": "maybe"}, "JWT_REQUIRE_EXP must be 1 or 0, not 'maybe'"),
        ({"AUDIOSTREAM_MAX_FRAME": "0"}, "AUDIOSTREAM_MAX_FRAME must be a whole number above 0"),
        ({"AUDIOSTREAM_STALL_TIMEOUT": "1.5"}, "above 0, not '1.5'"),
        ({"AUDIOSTREAM_LOG_JSON": "x"}, "AUDIOSTREAM_LOG_JSON must be 1 or 0"),
        ({"AUDIOSTREAM_ACCESS_LOG": "x"}, "AUDIOSTREAM_ACCESS_LOG must be 1 or 0"),
        ({"AUDIOSTREAM_HOST": ","}, "there is no --host to listen at"),
        ({"AUDIOSTREAM_HOST": "127.0.0.1:8080"}, "the port is named by --port"),
        ({"AUDIOSTREAM_HOST": "[::1]:8080"}, "the port is named by --port"),
        ({"AUDIOSTREAM_HOST": "::1, http://localhost"}, "'http://localhost' is no address"),
        ({"AUDIOSTREAM_HOST": "/run/audiostream.sock"}, "a unix socket is unix:/its/path"),
        ({"AUDIOSTREAM_HOST": "127.0.0.1 ::1"}, "'127.0.0.1 ::1' is no address"),
        ({"AUDIOSTREAM_HOST": "unix:"}, "needs a path, like unix:/run/"),
        ({"AUDIOSTREAM_TRUSTED_PROXIES": "proxy"}, "'proxy' does not appear to be"),
        ({"AUDIOSTREAM_TRUSTED_PROXIES": "10.0.0.1/8"}, "10.0.0.1/8 has host bits set. Write"),
        ({"AUDIOSTREAM_TRUSTED_PROXIES": "127.0.0.1 ::1"}, "comma-separated, or unix"),
        *(
            ({"AUDIOSTREAM_METRICS": text}, f"or unix:/path, not {text!r}")
            for text in (
                *("9100", ":9100", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:9100"),
                *("[::1]", "[127.0.0.1]:9100", "http://localhost:9100", "unix:", "a b:9100"),
            )
        ),
        ({"AUDIOSTREAM_METRICS_TOKEN": "two words"}, "AUDIOSTREAM_METRICS_TOKEN must be one word"),
        *(
            ({"AUDIOSTREAM_X_ACCEL": text}, f"must be a path like /protected/, not {text!r}: with")
            for text in ("protected", "/protected", "protected/", "/", "//", "/a//b/", "/a b/")
        ),
        *(
            ({"AUDIOSTREAM_X_ACCEL": text}, "and no name that begins with a dot")
            for text in ("/../", "/a/../b/", "/./", "/.a/", "/a%20b/", "/ä/", "/a?b/", "/a\nb/")
        ),
        ({"AUDIOSTREAM_X_ACCEL": "/protected/"}, "Name nginx's address there, like 127.0.0.1"),
        ({"CORS_ORIGINS": "music.example"}, "'music.example' is not an origin"),
        ({"CORS_ORIGINS": "https://music.example/app"}, "is not an origin"),
        ({"CORS_ORIGINS": "https://user@music.example"}, "is not an origin"),
        ({"CORS_ORIGINS": "https://music.example:port"}, "is not an origin"),
    ],
)
def test_a_bad_value_is_refused_with_what_to_do(
    environ: dict[str, str], changes: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(environ | changes)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
