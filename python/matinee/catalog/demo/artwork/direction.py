"""Art direction: which genre leads, which motifs a film's words call for, which composition carries them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from matinee.catalog.demo.artwork.scene import Layout, Scene
from matinee.catalog.demo.artwork.scenes_land import LAND
from matinee.catalog.demo.artwork.scenes_mood import MOOD
from matinee.catalog.demo.artwork.scenes_paper import PAPER
from matinee.catalog.film import Film
from matinee.catalog.values import SINGLE_GENRES

COMPOSITIONS: dict[str, Callable[[Scene], Layout]] = {**LAND, **PAPER, **MOOD}

# The rarer a genre is among films that also carry others, the more it says about the picture.
_LEAD_ORDER = (
    "Documentary",
    "Animation",
    "Horror",
    "Science Fiction",
    "Fantasy",
    "Romance",
    "Thriller",
    "Action",
    "Comedy",
    "Drama",
)
_RELATED = {"Western": "Action", "War": "Action", "Crime": "Thriller", "Mystery": "Thriller", "Musical": "Comedy"}

# Words of title and plot -> motif; earlier rows win within the title, then within the plot.
_WORDS: tuple[tuple[str, str], ...] = (
    ("shark jaws", "fin"),
    ("dinosaur jurassic dinosaurs", "dinosaur"),
    ("dragon dragons", "dragon"),
    ("ape apes gorilla monkey monkeys chimpanzee", "ape"),
    ("robot robots android cyborg machine replicant", "robot"),
    ("astronaut astronauts cosmonaut spacesuit", "astronaut"),
    ("rocket spaceship spacecraft shuttle", "rocket"),
    ("saucer ufo alien aliens extraterrestrial visitors", "ufo"),
    ("planet mars saturn galaxy solar", "planet"),
    ("samurai ronin yojimbo swordsmen ninja", "samurai"),
    ("cowboy gunslinger gunfighter outlaw outlaws bounty", "cowboy"),
    ("sheriff marshal deputy", "badge"),
    ("boxer boxing boxers", "boxer"),
    ("vampire vampires dracula bat batman bats", "bat"),
    ("werewolf wolf wolves", "wolf"),
    ("ghost ghosts haunted haunting poltergeist spirits", "ghost"),
    ("zombie zombies skeleton skull dead corpses", "skull"),
    ("grave graveyard cemetery tomb buried funeral", "grave"),
    ("exorcist priest church demon devil omen convent nun monk monks", "cross"),
    ("spider spiders web", "spider"),
    ("birds crows crow raven mockingbird falcon", "crow"),
    ("cat cats panther leopard", "cat"),
    ("dog dogs puppies tramp dalmatians", "dog"),
    ("horse horses stallion", "horse"),
    ("rabbit rabbits hare bunny", "rabbit"),
    ("mouse mice rat rats", "mouse"),
    ("penguin penguins antarctic antarctica", "penguin"),
    ("whale whales dolphin dolphins orca orcas mermaid", "whale"),
    ("fish fishing aquarium nemo", "fish"),
    ("lion lions", "lion"),
    ("butterfly moth", "butterfly"),
    ("toys toy doll puppet", "robot"),
    ("submarine sub", "fish"),
    ("train trains railway railroad subway locomotive", "train"),
    ("plane planes pilot pilots airport flight airplane aviator fliers", "plane"),
    ("helicopter helicopters", "helicopter"),
    ("ship liner titanic crew voyage captain", "ship"),
    ("boat boats yacht raft sail", "sailboat"),
    ("bicycle bicycles bike cyclist cycling", "bicycle"),
    ("balloon balloons", "hotair"),
    ("car cars driver driving road taxi truck trucks race racing speed", "car"),
    ("lighthouse", "lighthouse"),
    ("castle kingdom knight knights", "castle"),
    ("hotel mansion manor palace estate", "manor"),
    ("tower skyscraper building", "tower"),
    ("house home cabin", "house"),
    ("door doors", "door"),
    ("window windows apartment", "window"),
    ("circus carnival fair", "tent"),
    ("sword swords blade excalibur arthur", "sword"),
    ("axe", "axe"),
    ("knife knives slasher stabbed psycho", "knife"),
    ("gun guns shootout gunfight revolver hitman gangster gangsters mob", "gun"),
    ("bomb bombs explosives missile strangelove nitroglycerin", "bomb"),
    ("diamond diamonds jewel jewels heist emerald", "diamond"),
    ("money bank briefcase loot robbery", "briefcase"),
    ("key keys", "key"),
    ("mask masked masks", "mask"),
    ("crown king queen emperor prince princess royal", "crown"),
    ("chess", "king"),
    ("cards poker gambler casino gambling", "spade"),
    ("dice", "die"),
    ("guitar band rock musician musicians blues", "guitar"),
    ("singer sing singing songs concert opera soul jazz", "microphone"),
    ("dance dancer dancers dancing ballet ballerina", "dancer"),
    ("camera filming film hollywood movie movies director cinema", "camera"),
    ("projector reels", "reel"),
    ("telephone phone calls", "telephone"),
    ("letter letters postman mail", "letter"),
    ("book books novel library writer poet novelist", "book"),
    ("clock time minutes hour", "clock"),
    ("cook chef kitchen restaurant feast sushi cooking noodle", "pan"),
    ("wine cocktail martini bar drinking whisky party", "glass"),
    ("coffee cafe café tea", "cup"),
    ("umbrella rain umbrellas", "umbrella"),
    ("rose roses", "rose"),
    ("flower flowers garden blossom", "flower"),
    ("heart love lovers marriage wedding married", "couple"),
    ("soldier soldiers war army platoon battle troops", "soldier"),
    ("climb climbing climber mountain everest peak", "peak"),
    ("desert cactus mexico", "cactus"),
    ("island tropical jungle beach", "palm"),
    ("forest woods", "pine"),
    ("tree trees", "tree"),
    ("fire flame burning", "flame"),
    ("moon lunar", "moon"),
    ("star stars", "star"),
    ("sun summer sunshine", "sun"),
    ("angel angels wings", "wing"),
    ("storm lightning electric shock", "bolt"),
    ("factory clockwork machine engine", "gear"),
    ("baseball football ball basketball", "ball"),
    ("hand hands scissorhands", "hand"),
    ("eye eyes watch watching spy spies", "eye"),
    ("ballad sailor sailors navy", "anchor"),
    ("child children boy girl kid kids orphan", "child"),
    ("run runs running runner chase fugitive", "runner"),
    ("detective investigator", "hat"),
    ("woman wife widow actress she her", "woman"),
)

_TAGS: tuple[tuple[str, str], ...] = (
    ("desert dune dunes sand arabia mexico texas arizona sahara", "desert"),
    ("sea ocean beach ship shark island boat underwater submarine coast", "sea"),
    ("city york london paris tokyo manhattan angeles chicago berlin rome streets", "city"),
    ("forest woods jungle cabin", "forest"),
    ("mountain mountains peak alps everest himalaya", "mountain"),
)

_FALLBACK: dict[str, tuple[str, ...]] = {
    "Action": ("runner", "gun", "car", "helicopter", "flame", "bolt", "soldier"),
    "Animation": ("cat", "robot", "rabbit", "hotair", "star", "dog", "child", "castle"),
    "Comedy": ("bowtie", "tophat", "shoe", "cup", "cake", "glasses", "telephone", "balloon", "cat"),
    "Documentary": ("camera", "eye", "hand", "reel", "microphone", "profile", "walker"),
    "Drama": ("profile", "walker", "chair", "window", "streetlamp", "woman", "man", "baretree", "door"),
    "Fantasy": ("castle", "crown", "sword", "moon", "dragon", "key", "book", "candle"),
    "Horror": ("skull", "baretree", "manor", "hand", "candle", "knife", "eye", "door"),
    "Romance": ("couple", "rose", "heart", "letter", "lips", "flower", "glass"),
    "Science Fiction": ("astronaut", "planet", "rocket", "robot", "ufo", "eye", "gear"),
    "Thriller": ("man", "key", "gun", "eye", "telephone", "hat", "briefcase", "streetlamp"),
}

# Compositions that suit a genre, the more often named the likelier.
_SUITED: dict[str, tuple[str, ...]] = {
    genre: tuple(names.split())
    for genre, names in {
        "Action": "horizon rays diagonal diagonal rays skyline cut_paper big_type emblem road tiles",
        "Animation": "storybook storybook storybook tiles emblem frames rays pattern portal",
        "Comedy": "pattern emblem marquee tiles big_type rays cut_paper pattern frames split rings",
        "Documentary": "halftone halftone halftone frames big_type halftone emblem exposure tiles",
        "Drama": "exposure horizon emblem spotlight cut_paper facade road petals halftone chessfloor rings big_type "
        "split tiles skyline rain",
        "Fantasy": "portal portal horizon storybook forest emblem tiles petals portal planetscape rings",
        "Horror": "forest drip gaze spotlight rings forest facade drip horizon emblem blinds chessfloor",
        "Romance": "circles petals rain split emblem horizon exposure circles petals skyline tiles",
        "Science Fiction": "planetscape planetscape neon_grid rings emblem horizon gaze tiles neon_grid diagonal",
        "Thriller": "blinds spotlight facade cut_paper rings chessfloor skyline gaze blinds split big_type road rain",
    }.items()
}


@dataclass(frozen=True)
class Art:
    """What somebody decided for one film's poster: motifs to show, the main one first, and a composition."""

    show: tuple[str, ...] = ()
    layout: str | None = None


def lead_genre(film: Film) -> str:
    """The one of the ten that a poster of this film shows: its single label, else the most telling of its genres."""
    if film.single_genre in SINGLE_GENRES:
        return film.single_genre
    for genre in _LEAD_ORDER[:5]:
        if genre in film.genres:
            return genre
    listed = [genre for genre in _LEAD_ORDER if genre in film.genres]
    related = [_RELATED[genre] for genre in film.genres if genre in _RELATED]
    if listed and listed[0] not in {"Comedy", "Drama"}:
        return listed[0]
    return (related or listed or ["Drama"])[0]


@lru_cache(maxsize=4)
def _index(table: tuple[tuple[str, str], ...]) -> dict[str, tuple[int, str]]:
    index: dict[str, tuple[int, str]] = {}
    for rank, (words, value) in enumerate(table):
        for word in words.split():
            index.setdefault(word, (rank, value))
    return index


def _words(text: str | None) -> list[str]:
    return re.findall(r"[a-zé]+", (text or "").lower())


def motifs(film: Film, genre: str, rng: random.Random, art: Art | None = None) -> tuple[str, str]:
    """The main motif and another one: as decided, else from the title, the plot, or what the genre usually shows."""
    index = _index(_WORDS)
    found: list[str] = [*art.show] if art else []
    for text in (film.title, film.plot):
        hits = sorted({index[word] for word in _words(text) if word in index})
        found += [motif for _, motif in hits if motif not in found]
    fallback = list(_FALLBACK[genre])
    rng.shuffle(fallback)
    if "Western" in film.genres:
        fallback = ["cowboy", "badge", "cactus", "horse", *fallback]
    if "War" in film.genres and genre != "Documentary":
        fallback = ["soldier", "plane", "helicopter", *fallback]
    if genre == "Romance" and found and found[0] not in {"couple"} and len(found) < 2:
        found.append("couple")
    both = [*found[:3], *[name for name in fallback if name not in found]]
    return both[0], both[1]


def tags(film: Film) -> frozenset[str]:
    """Where the film plays, and whether it is a western."""
    index = _index(_TAGS)
    words = [*_words(film.title), *_words(film.plot)]
    places = {index[word][1] for word in words if word in index}
    if "Western" in film.genres:
        places |= {"western", "desert"}
    return frozenset(places)


def composition(film: Film, genre: str, motif: str, places: frozenset[str], rng: random.Random) -> str:
    """The name of the composition for a film: one its motif, country or time calls for, else one that suits it."""
    japanese = "Japan" in film.countries and genre in {"Action", "Drama", "Fantasy"}
    musical = "Musical" in film.genres and genre != "Documentary"
    early = film.year is not None and film.year < 1965 and genre != "Documentary"
    calls: tuple[tuple[bool, float, tuple[str, ...]], ...] = (
        (motif in {"fin", "whale", "fish", "ship", "sailboat"}, 0.65, ("waterline",)),
        (japanese, 0.35, ("seigaiha",)),
        (motif == "car" and genre in {"Action", "Thriller", "Drama", "Comedy"}, 0.5, ("road",)),
        (musical, 0.4, ("marquee",)),
        ("western" in places, 0.7, ("horizon", "rays", "horizon", "cut_paper")),
        (early, 0.25, ("cut_paper", "cut_paper", "spotlight", "emblem")),
    )
    for called, share, names in calls:
        if called and rng.random() < share:
            return rng.choice(names)
    return rng.choice(_SUITED[genre])
