"""Word pools of the training text; invented words are split into a training part and a held-out part.

Common nouns are shared: a model must know how "clouds" begins a sentence, which no copying tells. Invented words
(names, towns, odd objects) are built from syllables, which gives hundreds of thousands of them: a model can answer about
them only by copying from its context, and copying is what the training is for. They are split by a checksum, which
needs no list and never moves: one invented word in eight is held out.
"""

from __future__ import annotations

import random
import zlib

THINGS = (
    """apples pears plums cherries grapes lemons melons bananas oranges raspberries strawberries cranberries
blackberries blueberries gooseberries mulberries tomatoes carrots potatoes onions turnips radishes pumpkins cucumbers
peppers beans lentils walnuts almonds chestnuts mushrooms olives figs dates peaches apricots mangoes papayas horses cows
goats sheep rabbits foxes wolves bears otters badgers squirrels hedgehogs ravens crows sparrows swallows owls eagles
penguins parrots pigeons lizards turtles frogs snakes beetles ants bees wasps spiders butterflies dolphins whales sharks
seals crabs lobsters oysters tulips roses daisies lilies violets orchids poppies ferns oaks birches maples pines willows
cedars bricks tiles ladders lanterns candles mirrors clocks kettles spoons blankets pillows curtains carpets umbrellas
gloves scarves sandals wagons bicycles trains ferries rockets balloons kites drums violins trumpets flutes pencils
notebooks envelopes stamps coins bottles barrels baskets buckets hammers needles ropes anchors sails windmills bridges
tunnels towers castles fountains statues clouds rivers glaciers volcanoes islands deserts""".split()
)

OBJECTS = (
    """lamp table chair piano guitar tractor boat canoe tent stove kettle bakery library museum station market
theatre garden cottage barn workshop factory harbour chapel mill tavern school hospital bridge tower statue fountain
painting vase carpet mirror clock compass telescope camera radio engine wagon bicycle sledge rocket saddle hammer anvil
ladder barrel basket trunk helmet crown sword shield violin trumpet drum ring necklace coat scarf book map letter
diary""".split()
)

QUALITIES = (
    """old new small large tall broken wooden iron copper golden silver round square heavy light quiet famous
hidden northern southern eastern western royal public private first second third""".split()
)

COLOURS = (
    """red green blue yellow purple orange pink brown black white grey silver golden violet crimson turquoise
beige scarlet teal maroon""".split()
)

MATERIALS = (
    """glass paper copper iron wood stone clay sugar salt wax wool silk cotton rubber chalk ice sand marble
leather cheese bread honey""".split()
)

JOBS = """baker butcher carpenter teacher nurse doctor lawyer plumber painter sailor soldier gardener farmer fisherman
tailor barber driver pilot singer dancer writer poet librarian miner blacksmith shepherd potter weaver cook waiter
judge clerk messenger hunter chemist printer roofer locksmith beekeeper watchmaker""".split()

COUNTRIES = (
    """France Spain Italy Norway Sweden Finland Poland Greece Turkey Egypt Kenya Ghana India China Japan Korea
Brazil Peru Chile Canada Mexico Cuba Iceland Ireland Portugal Austria Hungary Romania""".split()
)

TOP_LEVEL = "com org net site info news web page".split()
TITLE_WORDS = """Daily Morning Evening Weekly Report News Notes Letters Stories Facts Guide Review Bulletin Record Journal
Digest Chronicle Gazette Herald Almanac""".split()

_SINGLE = "b d f g h j k l m n p r s t v w z".split()
_ONSETS = _SINGLE + _SINGLE + "br dr gr pl st tr sh th".split()
_VOWELS = "a e i o u a e i o u a e i o u ai ea ou".split()
_CODAS = ["", "", "", "", "", "n", "r", "l", "s", "m", "t", "k"]


def is_held_out(word: str) -> bool:
    """True for the one word in eight that training never sees."""
    return zlib.crc32(word.lower().encode()) % 8 == 0


class Pools:
    """Draws words from the training part (`held_out=False`) or only from the held-out part (`held_out=True`)."""

    def __init__(self, rng: random.Random, held_out: bool = False):
        self.rng = rng
        self.held_out = held_out

    def _invented(self, syllables: int) -> str:
        r = self.rng
        while True:
            word = "".join(r.choice(_ONSETS) + r.choice(_VOWELS) for _ in range(syllables)) + r.choice(_CODAS)
            if 3 <= len(word) <= 10 and is_held_out(word) == self.held_out:
                return word

    def person(self) -> str:
        name = self._invented(2).capitalize()
        return (
            name + " " + self._invented(self.rng.choice((1, 2))).capitalize()
            if self.rng.random() < 0.15
            else name
        )

    def place(self) -> str:
        if self.rng.random() < 0.25:
            return self.rng.choice(COUNTRIES)
        return self._invented(self.rng.choice((2, 2, 2, 2, 3))).capitalize()

    def things(self) -> str:
        """A lower-case plural. Never an invented one: as a subject it begins sentences, and in a vocabulary of 1024
        pieces the capitalised form of an unknown word has other pieces, so it could not be copied."""
        return self.rng.choice(THINGS)

    def object(self) -> str:
        noun = self.rng.choice(OBJECTS) if self.rng.random() < 0.7 else self._invented(2)
        return self.rng.choice(QUALITIES) + " " + noun if self.rng.random() < 0.5 else noun

    def word(self) -> str:
        return self._invented(self.rng.choice((1, 2, 2)))

    def colour(self) -> str:
        return self.rng.choice(COLOURS)

    def material(self) -> str:
        return self.rng.choice(MATERIALS)

    def job(self) -> str:
        return self.rng.choice(JOBS)

    def number(self) -> str:
        return str(self.rng.choice((self.rng.randint(2, 99), self.rng.randint(100, 999))))

    def age(self) -> str:
        return str(self.rng.randint(3, 99))

    def year(self) -> str:
        return str(self.rng.randint(1200, 2040))

    def time(self) -> str:
        return f"{self.rng.randint(1, 23)}:{self.rng.randint(0, 59):02d}"

    def date(self) -> str:
        return f"{self.rng.randint(1990, 2035)}-{self.rng.randint(1, 12):02d}-{self.rng.randint(1, 28):02d}"

    def url(self) -> str:
        r = self.rng
        host = r.choice((self.word(), self.word(), r.choice(("web", "some", "my", "the", "news", "daily"))))
        if r.random() < 0.35:
            host = r.choice(("some", "www", "web", "my", self.word())) + "." + host
        tail = r.choice(
            (
                str(r.randint(1, 9999)),
                str(r.randint(100, 999)),
                self.word(),
                f"{self.word()}/{r.randint(1, 99)}",
            )
        )
        return f"https://{host}.{r.choice(TOP_LEVEL)}/{tail}"

    def title(self) -> str:
        r = self.rng
        return r.choice((self._invented(2).capitalize(), r.choice(TITLE_WORDS))) + " " + r.choice(TITLE_WORDS)
