"""Keys of one transaction: gathered or written at once, each is claimed by the first alone."""

from realtime.ports import Duplicate, KeyClaim
from realtime.stores.transaction import Transaction
from tests.realtime.stores.building import NOW
from tests.realtime.stores.conftest import MakeStore


def key(name: str, scope: str = "r1") -> KeyClaim:
    return KeyClaim("ann", scope, name, b"body")


K, L, M = key("k"), key("l"), key("m")


async def taken(make_store: MakeStore, *steps: tuple[str, KeyClaim] | list[KeyClaim]) -> list[bool]:
    """In one transaction, `expect`s what is a list, `take`s the others; then the first to take a key has it."""
    store = make_store()
    await store.open()

    def work(tx: Transaction) -> list[bool]:
        results = []
        for i, step in enumerate(steps):
            if isinstance(step, list):
                tx.claims.expect(step)
            else:
                how, claim = step
                results.append(tx.claims.take(claim, f'{{"step":{i}}}', NOW, gather=how == "gather"))
        return results

    results = await store.run(work)
    first = {claim: i for i, (_, claim) in reversed([(i, s) for i, s in enumerate(steps) if isinstance(s, tuple)])}
    for claim, i in first.items():
        assert await store.duplicate(claim) == Duplicate({"step": i})
    return results


async def test_expected_keys_are_gathered(make_store: MakeStore) -> None:
    assert await taken(make_store, [K, L, M], ("gather", K), ("gather", L)) == [True, True]


async def test_a_gathered_key_is_taken_for_whoever_comes_after(make_store: MakeStore) -> None:
    assert await taken(make_store, [K, L], ("gather", K), ("gather", K), ("now", K)) == [True, False, False]


async def test_a_gathered_key_is_not_free_to_who_expects_it_next(make_store: MakeStore) -> None:
    steps = [K, L], ("gather", K), [K, L], ("gather", K), ("gather", L)
    assert await taken(make_store, *steps) == [True, False, True]


async def test_a_key_written_at_once_is_gathered_no_more(make_store: MakeStore) -> None:
    assert await taken(make_store, [K, L], ("now", K), ("gather", K)) == [True, False]


async def test_what_nobody_expected_is_claimed_too(make_store: MakeStore) -> None:
    assert await taken(make_store, [L, M], ("gather", K), ("gather", K), ("gather", L)) == [True, False, True]


async def test_keys_of_other_rooms_are_others(make_store: MakeStore) -> None:
    elsewhere = key("k", "r2")
    assert await taken(make_store, [K, elsewhere], ("gather", K), ("gather", elsewhere)) == [True, True]
