"""Prompts of words, by their ids in the models of models.py."""

FIRST_WORD = 300  # the first id that stands for a word; those before are control tokens and single bytes


def words(numbers, count):
    """So many ids of words, drawn from `numbers`, a random.Random."""
    return [numbers.randrange(FIRST_WORD, 1000) for _ in range(count)]
