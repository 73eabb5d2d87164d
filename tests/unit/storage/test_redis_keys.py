"""Names of keys."""

from __future__ import annotations

import pytest
from hypothesis import given

from audiostream.storage.redis_keys import decode_user, encode_user, user_key
from tests.support.shared_values import TEXTS


def test_a_plain_user_id_is_readable_in_the_names_of_its_keys() -> None:
    assert user_key("ada", "room") == "audiostream:{ada}:room"


@given(TEXTS)
def test_any_user_id_is_encoded_in_ascii_without_braces_and_decoded_again(user_id: str) -> None:
    text = encode_user(user_id)
    assert text.isascii()
    assert not set(text) & set("{}: \0\r\n")
    assert decode_user(text) == user_id


@pytest.mark.parametrize("user_id", ["}x{", "{revoked}", "{}", "a:b", "%7B", "\ud800", "\0"])
def test_the_keys_of_an_odd_user_id_have_one_hash_tag(user_id: str) -> None:
    key = user_key(user_id, "room")
    tag = key[key.index("{") + 1 : key.index("}")]
    assert tag == encode_user(user_id)
    assert key == f"audiostream:{{{tag}}}:room"
