"""The words that the parser knows beyond the names in the catalogue: tones, genres' other names, demonyms, numbers."""

from __future__ import annotations

from dataclasses import dataclass

from matinee.search.dialogue.state import Tone


@dataclass(frozen=True)
class ToneWords:
    """A direction in which a request may lean."""

    opposite: Tone
    comparatives: str  # words that ask for more of it
    plain: str  # words that mean it where they stand alone: "something funny"
    toward: tuple[str, ...]  # descriptions that lie in its direction for the text encoder
    genres: tuple[str, ...] = ()  # films of these have it; those of its opposite's have not


# Of each pair the second is defined by its opposite's texts, turned round.
TONE_WORDS: dict[Tone, ToneWords] = {
    "funnier": ToneWords(
        "more serious",
        r"funnier|more (?:funny|fun|comic|comical|comedic|humou?r|humou?rous|laughs|jokes)|less serious",
        r"funny|hilarious|humou?rous|comic|comedic|witty",
        ("A hilarious comedy full of jokes and mishaps.", "A funny misunderstanding leads to absurd situations."),
        ("Comedy",),
    ),
    "more serious": ToneWords(
        "funnier",
        r"more serious|less (?:funny|silly|comic|comedic|goofy)",
        r"serious|earnest",
        ("A serious, sober drama about a grave matter.", "A man faces the heavy consequences of his choices."),
        ("Drama",),
    ),
    "darker": ToneWords(
        "lighter",
        r"darker|grimmer|bleaker|grittier|more (?:dark|grim|gritty|bleak|noir)|less (?:light|light-?hearted)",
        r"dark|grim|gritty|bleak",
        ("A bleak and grim tale of murder, guilt and despair.", "Corruption, violence and betrayal destroy them all."),
        ("Crime", "Thriller", "Film-Noir", "Horror"),
    ),
    "lighter": ToneWords(
        "darker",
        r"lighter|more (?:light|light-?hearted|easy-?going)|less (?:dark|grim|gritty|bleak|heavy)|easier",
        r"light|light-?hearted|easy-?going",
        ("A light-hearted, cheerful story of friends on a sunny holiday.", "A charming and playful adventure."),
        ("Comedy", "Children", "Romance", "Musical"),
    ),
    "scarier": ToneWords(
        "less scary",
        r"scarier|creepier|spookier|more (?:scary|frightening|terrifying|creepy|spooky|horror|suspense|tense)|tenser",
        r"scary|frightening|terrifying|creepy|spooky",
        ("Terrified people are hunted by a monster in the dark.", "A haunted house, a killer, screams in the night."),
        ("Horror", "Thriller"),
    ),
    "less scary": ToneWords(
        "scarier",
        r"less (?:scary|frightening|terrifying|creepy|spooky|tense|horror)",
        r"",
        ("Friends spend a peaceful, safe and quiet summer.", "A warm story about everyday life in a small town."),
    ),
    "sadder": ToneWords(
        "happier",
        r"sadder|more (?:sad|tragic|melancholic|melancholy|moving|touching)|less (?:happy|cheerful)",
        r"sad|tragic|melancholic|melancholy|tear-?jerkers?|moving",
        ("A tragic story of loss and grief; she dies of an illness.", "A mourning family cannot overcome a death."),
        ("Drama",),
    ),
    "happier": ToneWords(
        "sadder",
        r"happier|more (?:happy|cheerful|uplifting|hopeful|upbeat)|less (?:sad|tragic|depressing|melancholic)",
        r"happy|cheerful|uplifting|feel-?good|heart-?warming|upbeat",
        ("A heartwarming, uplifting story with a happy ending.", "Against the odds friends win and celebrate."),
        ("Comedy", "Musical", "Children"),
    ),
    "more violent": ToneWords(
        "less violent",
        r"more (?:violent|violence|brutal|blood|bloody|gory|gore)|bloodier|gorier",
        r"violent|brutal|bloody|gory",
        ("Gangsters shoot and slaughter each other in a bloody massacre.", "A brutal killer tortures his victims."),
        ("Action", "War", "Horror", "Crime"),
    ),
    "less violent": ToneWords(
        "more violent",
        r"less (?:violent|violence|brutal|blood|bloody|gory|gore)|no (?:violence|gore|blood)",
        r"non-?violent|gentle",
        ("A gentle story about kind people and their small worries.", "Neighbours become friends over a garden."),
    ),
    "more romantic": ToneWords(
        "less romantic",
        r"more (?:romantic|romance|love)",
        r"romantic",
        ("Two people fall deeply in love and share a first kiss.", "A tender love story between two strangers."),
        ("Romance",),
    ),
    "less romantic": ToneWords(
        "more romantic",
        r"less (?:romantic|romance|love|kissing)",
        r"",
        ("Colleagues work together on a difficult task.", "A crew has to survive, and nobody falls in love."),
    ),
    "faster": ToneWords(
        "slower",
        r"faster|more (?:action|action-?packed|exciting|thrilling)|less (?:slow|boring)",
        r"fast|fast-?paced|exciting|thrilling|action-?packed",
        ("Car chases, explosions and a race against time.", "A breathless pursuit across the city."),
        ("Action", "Adventure", "Thriller"),
    ),
    "slower": ToneWords(
        "faster",
        r"slower|calmer|quieter|more (?:slow|calm|quiet|meditative|contemplative)|less (?:action|hectic|fast)",
        r"slow|calm|quiet|meditative|contemplative|slow-?burn",
        ("A quiet, contemplative portrait of an ageing couple.", "Days pass slowly in a remote village."),
        ("Drama", "Documentary"),
    ),
    "stranger": ToneWords(
        "more down to earth",
        r"stranger|weirder|odder|more (?:strange|weird|surreal|bizarre|odd|quirky)|less (?:normal|ordinary|realistic)",
        r"strange|weird|surreal|bizarre|quirky|trippy",
        ("A surreal dream in which reality falls apart.", "Bizarre creatures and impossible events haunt him."),
        ("Fantasy", "Science Fiction"),
    ),
    "more down to earth": ToneWords(
        "stranger",
        r"more (?:down[- ]to[- ]earth|realistic|ordinary|normal)|less (?:strange|weird|surreal|bizarre|odd|quirky)",
        r"realistic|down[- ]to[- ]earth",
        ("Everyday life of an ordinary working family.", "Based on the true story of common people."),
        ("Drama", "Documentary"),
    ),
    "for children": ToneWords(
        "for grown-ups",
        r"more (?:child|kid|family)[- ]friendly|less (?:adult|grown-?up)|"
        r"(?:suitable )?for (?:the |my |our )?(?:kids?|child|children|(?:whole )?family)",
        r"(?:kid|child|family)[- ]friendly",
        ("Children and their talking animal friends have an adventure.", "A fairy tale for the whole family."),
        ("Children", "Animation"),
    ),
    "for grown-ups": ToneWords(
        "for children",
        r"for (?:adults|grown-?ups)|more (?:adult|grown-?up|mature)|less (?:childish|kid-?like)",
        r"adult|grown-?up|mature",
        ("An adult drama about marriage, adultery and ambition.", "A politician's career is ruined by an affair."),
    ),
}

# Other names of genres -> the canonical ones; a name of several genres means all of them.
GENRE_WORDS: dict[str, tuple[str, ...]] = {
    r"rom-?coms?|romantic comed(?:y|ies)": ("Comedy", "Romance"),
    r"sci-?fi|science[- ]fiction|sf": ("Science Fiction",),
    r"comed(?:y|ies)": ("Comedy",),
    r"horrors?|slashers?": ("Horror",),
    r"thrillers?": ("Thriller",),
    r"westerns?": ("Western",),
    r"musicals?": ("Musical",),
    r"documentar(?:y|ies)|docs?|docus?": ("Documentary",),
    r"animations?|animated|cartoons?|anime": ("Animation",),
    r"dramas?": ("Drama",),
    r"film[- ]noirs?|noirs?": ("Film-Noir",),
    r"whodunn?its?|myster(?:y|ies)": ("Mystery",),
    r"biopics?|biograph(?:y|ies|ical)": ("Biography",),
    r"romances?|love stor(?:y|ies)": ("Romance",),
    r"children'?s?|family": ("Children",),
    r"music": ("Musical",),
    r"historical|history": ("History",),
    r"fantas(?:y|ies)": ("Fantasy",),
    r"adventures?": ("Adventure",),
    r"sports?": ("Sport",),
}
# These are also ordinary nouns: a genre only where they stand alone or before "film".
NOUN_GENRES = frozenset(
    {"war", "crime", "action", "family", "music", "history", "mystery", "fantasy", "adventure", "sport", "sports",
     "children", "biography", "short", "adult", "news", "romance", "musical", "animation", "drama", "love story",
     "love stories", "docs", "doc", "docu"}
)  # fmt: skip

# Adjective -> country; the adjective itself is the language where the catalogue knows one of that name.
DEMONYMS = {
    "american": "United States", "hollywood": "United States", "british": "United Kingdom", "english": "United Kingdom",
    "scottish": "United Kingdom", "french": "France", "german": "Germany", "italian": "Italy", "spanish": "Spain",
    "portuguese": "Portugal", "dutch": "Netherlands", "belgian": "Belgium", "swiss": "Switzerland",
    "austrian": "Austria", "swedish": "Sweden", "norwegian": "Norway", "danish": "Denmark", "finnish": "Finland",
    "icelandic": "Iceland", "irish": "Ireland", "polish": "Poland", "czech": "Czech Republic", "hungarian": "Hungary",
    "romanian": "Romania", "greek": "Greece", "turkish": "Turkey", "russian": "Russia", "soviet": "Soviet Union",
    "ukrainian": "Ukraine", "japanese": "Japan", "chinese": "China", "korean": "South Korea",
    "south korean": "South Korea", "taiwanese": "Taiwan", "thai": "Thailand", "vietnamese": "Vietnam",
    "indian": "India", "bollywood": "India", "iranian": "Iran", "israeli": "Israel", "egyptian": "Egypt",
    "mexican": "Mexico", "brazilian": "Brazil", "argentinian": "Argentina", "argentine": "Argentina",
    "chilean": "Chile", "cuban": "Cuba", "canadian": "Canada", "australian": "Australia",
    "new zealand": "New Zealand", "south african": "South Africa", "nigerian": "Nigeria",
}  # fmt: skip
COUNTRY_WORDS = {
    "usa": "United States", "us": "United States", "america": "United States", "the states": "United States",
    "uk": "United Kingdom", "britain": "United Kingdom", "england": "United Kingdom", "great britain": "United Kingdom",
    "korea": "South Korea", "holland": "Netherlands", "hollywood": "United States", "bollywood": "India",
}  # fmt: skip

NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "ninety": 90,
}  # fmt: skip
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
DECADES = {
    "twenties": 1920, "thirties": 1930, "forties": 1940, "fifties": 1950, "sixties": 1960, "seventies": 1970,
    "eighties": 1980, "nineties": 1990, "noughties": 2000,
}  # fmt: skip

# Words around a request that ask for nothing themselves.
_FILLER = """a about actually after again all also am an and any anything are as at be bit bored but can choose could
day decent do dont else enough evening excellent feel feeling few film films find fine first for forget from get
give good great got had have hello help her hey hi his how however hm hmm i id idea if im in instead interesting is it
its ive just kind know let lets like little looking lot lovely make maybe me mind mood more movie movies my need nice
night no not nothing now of oh ok okay old on one ones only option options or our out perhaps pick please pls
quite rather really recommend recommendation recommendations right same see should show so some somebody someone
something somewhat sort stuff suggest suggestion suggestions sure surprise sth tell than thank thanks that the them
then there these thing things think this those to today tonight too try up us very want wanted watch way we weekend
well what whatever which will with would yeah yes you your without though although except set bring best top cool
awesome amazing fun favourite favorite new time were was been"""
FILLER = frozenset(_FILLER.split())
FILLER_BEFORE = FILLER - {"in", "set", "on", "at", "of", "with", "time", "old", "new", "right", "best", "top", "night"}
"""Dropped before what a film is about; words that belong to it are not."""
_FILLER_AFTER = "film films movie movies please one ones tonight too instead now then and but or thanks with that"
FILLER_AFTER = frozenset(_FILLER_AFTER.split())
"""Dropped after what a film is about."""

GENRE_WORD = f"(?:{'|'.join(GENRE_WORDS)})"
PLAIN_TONES = "|".join(words.plain for words in TONE_WORDS.values() if words.plain)
