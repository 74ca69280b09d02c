"""States of conversations kept by session: remembered, forgotten in time, bounded; refined over REST."""

from flask.testing import FlaskClient

from matinee.app.conversations import Conversations
from matinee.search.dialogue import ConversationState


def state(film_id: str) -> ConversationState:
    return ConversationState(shown=(film_id,))


def test_a_session_is_remembered_until_an_hour_after_its_last_turn() -> None:
    now = [0.0]
    kept = Conversations(seconds=3600, clock=lambda: now[0])
    assert kept.recall("a") is None
    kept.keep("a", state("film:1"))
    now[0] = 3000
    assert kept.recall("a") == state("film:1")
    kept.keep("a", state("film:2"))
    now[0] = 6500
    assert kept.recall("a") == state("film:2")
    now[0] = 6600
    assert kept.recall("a") is None
    kept.keep("b", state("film:3"))
    assert len(kept) == 1  # what is forgotten takes no room


def test_the_longest_unused_sessions_make_room() -> None:
    kept = Conversations(limit=3)
    for name in ("a", "b", "c", "a", "d"):
        kept.keep(name, state(name))
    assert [kept.recall(name) is not None for name in "abcd"] == [True, False, True, True]


def test_a_session_refines_as_its_state_would(client: FlaskClient) -> None:
    turns = ("horror or comedy, no romance", "not the second one", "from before 1990")
    by_state = None
    for message in turns:
        body = {"message": message, "k": 5}
        by_session = client.post("/v1/chat", json={**body, "session_id": "somebody-1"}).get_json()
        by_state = client.post("/v1/chat", json={**body, "state": by_state and by_state["state"]}).get_json()
        assert by_session == by_state
    other = client.post("/v1/chat", json={"message": turns[-1], "k": 5, "session_id": "somebody-2"}).get_json()
    assert other["state"] != by_state["state"]


def test_a_state_that_is_sent_replaces_the_sessions(client: FlaskClient) -> None:
    body = {"session_id": "editor", "k": 5}
    first = client.post("/v1/chat", json={**body, "message": "a comedy from before 1990"}).get_json()
    edited = first["state"]
    edited["understood"]["where"]["year"] = {"min": None, "max": None}
    wider = client.post("/v1/chat", json={**body, "state": edited}).get_json()
    again = client.post("/v1/chat", json={**body, "message": "in English"}).get_json()
    assert [chip["kind"] for chip in wider["chips"]] == ["genre"]
    assert [chip["kind"] for chip in again["chips"]] == ["genre", "language"]
