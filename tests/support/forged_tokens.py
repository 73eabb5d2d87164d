"""Access tokens that nobody may accept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from tests.support.server_process import SECRET


def signed(
    claims: Mapping[str, Any] | str,
    header: Mapping[str, Any] | str | None = None,
    *,
    key: str = SECRET,
    digest: str = "sha256",
) -> str:
    """A JWT with a true HMAC; as text, claims and header may be anything."""
    texts = (header if header is not None else {"alg": "HS256", "typ": "JWT"}, claims)
    parts = [_base64(t if isinstance(t, str) else json.dumps(t)) for t in texts]
    signature = hmac.digest(key.encode(), ".".join(parts).encode(), digest)
    return ".".join([*parts, _base64(signature)])


def forgeries(now: float) -> dict[str, str]:
    """Tokens for ``ada`` that nobody may accept, by what is wrong with them."""
    ada, much = {"sub": "ada", "iat": int(now)}, "9" * 2500
    good = signed(ada)
    head, claims, signature = good.split(".")
    other_head, other_claims = _base64('{"alg":"HS256"}'), _base64('{"sub":"bob"}')
    return (
        {
            f"alg {name}": f"{signed(ada, {'alg': name}).rpartition('.')[0]}."
            for name in ("none", "None", "NONE", "nOnE", "")
        }
        | {f"alg {name}, signed as HS256": signed(ada, {"alg": name}) for name in _ALGORITHMS}
        | {f"crit {crit!r}": signed(ada, _critical(crit)) for crit in _CRITICAL}
        | {
            f"{claim} {value[:12]}": signed(f'{{"sub":"ada","{claim}":{value}}}')
            for claim in ("exp", "nbf", "iat")
            for value in (*_NO_DATES, much, f"-{much}", f"1e{much}")
        }
        | {f"sub {sub[:20]}": signed(f'{{"sub":{sub}}}') for sub in (*_NO_USERS, much)}
        | {
            "HS512": signed(ada, {"alg": "HS512"}, digest="sha512"),
            "HS384": signed(ada, {"alg": "HS384"}, digest="sha384"),
            "another key": signed(ada, key="b secret of more than thirty-two bytes"),
            "no key": signed(ada, key=""),
            "the key in the header": signed(
                ada, {"alg": "HS256", "jwk": {"kty": "oct", "k": "QQ"}, "kid": "x"}, key="A"
            ),
            "a changed claim": f"{head}.{other_claims}.{signature}",
            "a changed header": f"{other_head}.{claims}.{signature}",
            "a changed signature": f"{head}.{claims}.{_base64(hashlib.sha256(b'').digest())}",
            "a cut signature": good[:-1],
            "no signature": f"{head}.{claims}.",
            "two parts": f"{head}.{claims}",
            "four parts": f"{good}.{signature}",
            "five parts": f"{good}.{signature}.{signature}",
            "dots": "..",
            "a word": "nonsense",
            "padding": f"{head}=.{claims}=.{signature}=",
            "percent signs": "%".join(good),
            "expired": signed(ada | {"exp": int(now) - 60}),
            "not yet valid": signed(ada | {"nbf": int(now) + 300}),
            "issued in the future": signed(ada | {"iat": int(now) + 300}),
            "no sub": signed({"iat": int(now)}),
            "no claims": signed({}),
            "claims that are a list": signed('["ada"]'),
            "claims that are no JSON": signed("ada"),
            "claims in a deep nest": signed("[" * 2000 + "]" * 2000),
            "a header that is a list": signed(ada, '["HS256"]'),
            "a header that is no JSON": signed(ada, "HS256"),
            "a header in a deep nest": signed(ada, "[" * 2000 + "]" * 2000),
            "a header with blanks": signed(ada, '  { "alg":"none"}'),
            "an unencoded payload": signed(ada, {"alg": "HS256", "b64": False, "crit": ["b64"]}),
            "5,000 digits in exp": signed(f'{{"sub":"ada","exp":{"9" * 5000}}}'),
            "5,000 digits in sub": signed(f'{{"sub":{"9" * 5000}}}'),
            "5,000 digits in the header": signed(ada, f'{{"alg":"HS256","x":{"9" * 5000}}}'),
        }
    )


_ALGORITHMS = ("none", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", "HS256 ", "")
_CRITICAL: tuple[Any, ...] = (["x"], ["exp"], ["x", "x"], [], "x", [1], {}, None)
_NO_DATES = (
    '"9999999999"',
    '"soon"',
    "-1",
    "1e30",
    "1e400",
    "NaN",
    "Infinity",
    "-Infinity",
    "true",
    "[]",
    "{}",
)
_NO_USERS = (
    '""',
    "null",
    "true",
    "1.5",
    "[]",
    '["ada"]',
    "{}",
    '"a\\u0000b"',
    '"a\\nb"',
    '"\\u007f"',
    '"\\u0085"',
    '"\\ud800"',
    f'"{"x" * 129}"',
)


def _critical(crit: Any) -> dict[str, Any]:
    """A header that names extensions which must be understood (RFC 7515 section 4.1.11)."""
    return {"alg": "HS256", "x": 1, "exp": 1, "crit": crit}


def _base64(content: str | bytes) -> str:
    content = content.encode() if isinstance(content, str) else content
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
