from bitdiff_jax.serve.kept import Kept


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_value_is_forgotten_after_its_time_and_asking_keeps_it():
    clock = Clock()
    kept = Kept(10, 100, clock)
    key, other = kept.put("a", 1), kept.put("b", 1)
    clock.now = 8
    assert kept.get(key) == "a"
    clock.now = 12
    assert kept.get(other) is None and kept.get(key) == "a" and len(kept) == 1
    clock.now = 22
    assert len(kept) == 0


def test_what_was_not_asked_for_longest_makes_room():
    kept = Kept(10, 100, Clock())
    keys = [kept.put(name, 40) for name in "ab"]
    assert kept.get(keys[0]) == "a"
    new = kept.put("c", 40)
    assert [kept.get(each) for each in (*keys, new)] == ["a", None, "c"]
    huge = kept.put("d", 1000)
    assert kept.get(huge) == "d" and len(kept) == 1


def test_a_key_is_replaced_and_new_ones_differ():
    kept = Kept(10, 100, Clock())
    key = kept.put("a", 60)
    assert kept.put("b", 60, key) == key and kept.get(key) == "b" and len(kept) == 1
    assert len({kept.put("x", 0) for _ in range(50)}) == 50 and len(key) >= 32
    assert kept.get("no such key") is None
