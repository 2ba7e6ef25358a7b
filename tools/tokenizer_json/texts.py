"""The training text of the small vocabularies, and the texts that are encoded with them."""
from __future__ import annotations

import random

TRAINING = """\
The rope walk was three hundred metres long, and hemp was spun there from the year 1742 on. A rope's strands are twisted against the lay.
What isn't twisted won't hold; they've said so, we'll see, I'd think, you're right, it's I'm who don't. WHAT ISN'T TWISTED WON'T HOLD.
def spin(yarn, turns=12):
    if yarn is None:
        return []
    return [strand for strand in yarn if strand.turns > turns]  # 3.14159, 0x7fffffff, 1,000,000
for (int i = 0; i < count; ++i) { total += rope[i].length * 2; }
{"name": "rope", "length": 220, "tags": ["hemp", "tarred"], "price": 12.50}
https://example.org/rope?length=220&kind=hemp#walk   user@example.org   C:\\rope\\walk.txt
Das Seil wird geschlagen, die Länge beträgt fünfzig Meter. Größe, Übermut, naïve façade, año, Łódź, İstanbul.
Канат свивают из прядей, длина пятьдесят метров. Το σχοινί είναι μακρύ. השלום עולם. مرحبا بالعالم. नमस्ते दुनिया.
绳子很长，有五十米。これは長い縄です。ロープ。밧줄은 길다. 你好，世界！ 今日は良い天気ですね。
😀 🎉 👍🏽 1️⃣ ½ ² ³ Ⅷ ٣ ३ — “quotes” … • → ≤ ∑ € £ ¥
\t\tindented\n\n\n    four spaces\n        eight spaces\r\n\r\nwindows lines\r\n
""" * 3

SPECIAL_NAMES = ("<s>", "</s>", "<unk>", "<pad>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>",
                 "<|end|>", "<|user|>", "[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>", "<tool_call>", "<｜User｜>",
                 "<｜end▁of▁sentence｜>")

WRITTEN = (
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n\n", "\t", "\r\n", "\r\n\r\n", "\r", " \n ", "\n \n", " \r\n x", "x\r\n\r\n  y", "a", " a", "a ", "  a  b  ",
    "Hello", "hello world", "Hello, world! It's 10:30.", "The rope walk was three hundred metres long.",
    "it's don't we've they'll I'd you're I'm", "IT'S DON'T WE'VE THEY'LL I'D YOU'RE I'M", "It'S 'Tis 'twas ''s '", "x's 's 'S ’s", "it'\u017f \u017f 'ſt",
    "'\u212a k\u212a", "1 12 123 1234 12345 1234567890", "3.14159", "1,000,000", "0x7fffffff", "٣٤٥ ३४५ ๓๔ ５６ 𝟘𝟙𝟚 ௧௨௩", "½²³Ⅷ①", "a1b22c333",
    "def f(x):\n    return x ** 2\n\n\nprint(f(3))\n", "#include <vector>\nint main() { return 0; }", "\tif (a && b) {\n\t\t++c;\n\t}", "x=1;y=2", "!!!???...",
    " !x", "(a)[b]{c}", "a_b __c__ _", "$5 €6 £7 ^~`", "https://example.org/a?b=c&d=%20#e", "-" * 40, "=" * 7 + "\n", ". " * 12, "ab" * 40, "a" * 70,
    "Donaudampfschifffahrtsgesellschaft", "Größe Übermut naïve façade", "Ωμέγα άλφα", "Привет, мир", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया",
    "สวัสดีชาวโลก", "漢字かな交じり文", "한국어 문장", "你好，世界！", "你好hello世界123", "中文 english 中文", "ℵ₀ ≤ 2^ℵ₀", "e\u0301 n\u0303 a\u030a", "é ñ å", "a\u0327\u0301",
    "Z\u0351\u036b\u0343a\u0343l\u034fgo", "\u1100\u1161\u11a8", "\u0958 \u2126 \u212b \ufb1d", "ﬁ ﬂ ﬀ ß ẞ", "Ａ１", "ǅ ʰ ª", "😀", "😀😀", "a😀b", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈",
    "🇳🇿🇩🇪", "1️⃣", "❤️", "\u200b", "a\u200db", "\u200e\u200f", "\ufeffbom", "\u00a0nbsp\u00a0", "a\u0085b", "\u0085", "a\u180eb \u180e", "\u1680 \u2003\u2003x", "\u2028a\u2029", "\u3000wide\u3000",
    "\u2581", "\u2581\u2581a", "a\u2581b", "▁ ▁", "\x00", "a\x00b", "\x01\x02", "\x7f", "\x1b[31m", "\x1c\x1d", "\x0b\x0c", "\U0010ffff", "\ufffd", "\ue000", "“quotes” — dash…", "<0x0A>", "<0x41>", "<0xZZ>",
    "\U00031350\U00031351 CJK H", "\U0002ebf0 CJK I", "\U00013460 hieroglyph", "\ua7cb\ua7dc Latin of 16", "\U00010d40\U00010d41 digits of 16", "\u0897 mark", "\U0001fae9 \U0001f6d8 symbols", "\U00011bc0\U00011bc1",
    "\u1c89\u1c8a", "a\U00031350b1\U000116d0", "\u2ffc\u2ffd 𞗐", "fi st ss", "A\u030a", "ΑΣ ς", "dž DŽ Dž", "hello\u0301 wo\u0308rld", "x\u0301\u0301", "l'été d'où", "McDONALD iPhone XMLHttpRequest", "HELLOworld helloWORLD",
    "  \n  a", "a  \n", "a   ", "   a", " \t \t x", "\n\n  x\n", "x \n\n y", "\t\n", "a\n\n\n\nb", "trailing \n", "end.\n\n", "。、！？", "「引用」", "‘a’ ‚b‛", "…‥․", "、。〃", "～！＠＃", "ｆｕｌｌ",
)

MARKED = (
    "{0}", " {0}", "{0} ", "  {0}  ", "a{0}b", "a {0} b", "{0}{0}", "\n{0}\n", "{0}\n\n", "é{0}é", "_{0}_", "1{0}2", "-{0}-", "\u3000{0}\u3000x", "{0}ab cd", "x  {0}  y", "𞤀{0}\U00031350", "\u0301{0}", "a\u200d{0}",
)


def random_texts(count: int, seed: int) -> list[str]:
    """Mixtures of words, spaces, digits, marks and far-away characters."""
    rng = random.Random(seed)
    pieces = ["the", "Rope", "walk", "ing", "'s", "'LL", "n't", " ", "  ", "    ", "\n", "\r\n", "\t", "7", "42", "123456", ".", ",", "!?", "é", "ß", "漢", "字", "かな", "😀",
              "\u0301", "\u200d", "Ж", "_", "-", "(", "\u00a0", "QX", "zzz", "\u3000", "\u2028", "\u180e", "▁", "٣", "Ⅷ", "½", "\U00031350", "\U00010d40", "\u1c89", "ſ", "\u0327"]
    texts = []
    for _ in range(count):
        text = "".join(rng.choice(pieces) for _ in range(rng.randint(2, 16)))
        if rng.random() < 0.15:
            text += rng.choice(SPECIAL_NAMES) + rng.choice(pieces)
        if rng.random() < 0.1:
            text += chr(rng.choice([rng.randrange(0xd800), rng.randrange(0xe000, 0x110000)]))
        texts.append(text)
    return texts


def spaces() -> list[str]:
    return ["x" + " " * n + "y" for n in (2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 40)]


def plain_texts() -> list[str]:
    return list(dict.fromkeys(list(WRITTEN) + spaces() + list(SPECIAL_NAMES) + random_texts(60, 20261129)))


def marked_texts(names: list[str]) -> list[str]:
    return [form.format(name) for name in names for form in MARKED]
