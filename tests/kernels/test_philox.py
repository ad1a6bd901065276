"""Philox4x32-10 against its published known answers and a plain-Python transcription."""

import numpy as np
import pytest

from mixdyn import kernels

# Random123, tests/kat_vectors, "philox4x32 10": counter, key, output.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return np.array([int(word, 16) for word in text.split()], dtype=np.uint64)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_known_answers(counter, key, answer):
    assert kernels.philox4x32(words(counter), words(key)).tolist() == words(answer).tolist()


def test_philox_reads_every_word_of_the_counter_and_the_key():
    counter, key = words(KNOWN_ANSWERS[2][0]), words(KNOWN_ANSWERS[2][1])
    outputs = {tuple(kernels.philox4x32(counter, key).tolist())}
    for bit in (0, 31):
        for word in range(4):
            other = counter.copy()
            other[word] ^= np.uint64(1 << bit)
            outputs.add(tuple(kernels.philox4x32(other, key).tolist()))
        for word in range(2):
            other = key.copy()
            other[word] ^= np.uint64(1 << bit)
            outputs.add(tuple(kernels.philox4x32(counter, other).tolist()))
    assert len(outputs) == 13
    assert all(0 <= word < 2**32 for output in outputs for word in output)
