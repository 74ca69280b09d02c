"""Texts that the tokenizers are compared on: the real catalogue's, in many scripts, and with what people paste."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

# One text a script or a trap.
SCRIPTS = [
    "",
    " ",
    'The quick brown fox, who\'d seen 1,234.5 films (in 3-D!), said: "Encore"…',
    "Amélie Poulain rêve à Montmartre; naïve façade, œuvre, Œdipe",
    "DER SCHUH DES MANITU – Straße, GROSSE ẞ, Übergröße",
    "İstanbul'da ışık ILIK",
    "Любовь и голуби, Ёлки; Й й",
    "Ο Θίασος, ΌΝΕΙΡΟ, σοφός ΣΟΦΌΣ",
    "千と千尋の神隠し、となりのトトロ。がぎぐげご ﾊﾝｶｸ",
    "기생충 살인의 추억 각 ᄀ",
    "आवारा, क़िस्मत है — लगान ज़िन्दगी",
    "தமிழ் படம் கொ",
    "ฉลาดเกมส์โกง น้ำ",
    "لاَ إِلَٰهَ، فيلم طويل؟ ١٢٣",
    "ואלס עם באשיר, שָׁלוֹם",
    "Đặng Nhật Minh: Bao giờ cho đến tháng Mười",
    "🎬🍿 👨‍👩‍👧‍👦 🏳️‍🌈 only emoji ❤️",
    "x\u0000y\u0007z \u200bzero\u200dwidth\ufeff soft\u00adhyphen \ufffd",
    "tabs\tand\r\nlines\u2028sep\u2029par\u00a0nbsp\u3000wide\u0085next\u000bvt",
    "𠀀𪜀豈﨑⾀〇〡 CJK at its edges 一鿿㐀䶿",
    "ａｂｃ ①②③ ½ ﬁne ™ € £ ¥ $ ^ ` ~ + < = > |",
    "[SEP] [CLS] [MASK] [PAD] [UNK] [sep] [[SEP]] ##ing",
    "a" * 99 + " " + "b" * 100 + " " + "c" * 101,
    "e\u0301\u0323 e\u0323\u0301 a\u302e\u0301\u3099 \u0344 \u0f73\u0f71 \U0001d15e",
    "عـــربي ٱلسّ ﷺ ﷽",
    "ɤ Ƛ Ɤ ꟋꟌ \U0001e900\U00010400",
]

# What is put into real texts by `decorated`.
TRAPS = [
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈🇫🇷🇯🇵",
    "👍🏽❤️‍🔥",
    "\u00a0\u2003\u3000",
    "\t\r\n\x0b\x0c",
    "\u2028\u2029\u0085",
    "\u200b\u200d\ufeff\u00ad",
    "e\u0301\u0323 \u0344 o\u031b\u0323",
    "&amp;lt; &eacute; &EACUTE; &#8217;s &nbsp; &copy &#x1F3AC; &notit; &bogus;",
    "“curly” ‘quotes’ it’s — …",
    "ﬁlm ﬂuﬃ ĳ Ǆ ŉ",
    "ＦＵＬＬ　ｗｉｄｔｈ １２ ﾊﾝｶｸｶﾞ",
    "\x1b[1;31mred\x1b[0m",
    "\x00\x07\x7f\ufffd\ufffc",
    "<b>it's</b> 'tis don't WE'LL I'd've",
    "٣ ½ ² Ⅷ ㊿ 1,000.50",
    "ΟΔΥΣΣΕΥΣ Σ ΑΣ. İSTANBUL ẞ",
    "שָׁלוֹם مرحبا \u202eabc\u202c",
    "<|endoftext|> <|startoftext|> <|ENDOFTEXT|>> [SEP]",
    *SCRIPTS,
]


def sentences(text: str) -> Iterator[str]:
    """The sentences of a plot, as they would be indexed."""
    yield from (part for part in re.split(r"(?<=[.!?])\s+", text) if part)


def real_texts(folder: Path) -> list[str]:
    """Plots, their sentences and titles of the real catalogue."""
    csv.field_size_limit(1 << 24)
    found: list[str] = []
    for name, columns in (("tmdb_5000_movies.csv", ("overview", "title", "tagline")), ("catalog.tsv", ())):
        with (folder / name).open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t" if name.endswith("tsv") else ","):
                texts = [row[c] for c in columns] if columns else [v for v in row.values() if isinstance(v, str)]
                for text in texts:
                    found += [text, *sentences(text)]
    return list(dict.fromkeys(found))


def decorated(texts: Sequence[str]) -> list[str]:
    """The texts, each with one of the traps between two of its words, or within one."""
    found = []
    for i, text in enumerate(texts):
        at = i * 7919 % (len(text) + 1)
        trap = TRAPS[i % len(TRAPS)]
        found.append(text[:at] + trap + text[at:] if i % 2 else " ".join([text[:at], trap, text[at:]]))
    return found
