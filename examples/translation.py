"""Translation: an encoder reads an English sentence, a decoder writes it in French, and attention shows how.

The first application in "Under The Hood of Neural Networks. Part 2: Recurrent" is (a), translation, the network that it
derives its formulas for: it reads a whole sequence before it begins to answer. Ours reads sentences such as

    the black dog is not very heavy          le chien noir n' est pas très lourd

in which the adjective changes places with the noun, one "not" becomes two words, and article and adjectives take the
gender of the noun: to write "la" for "the", the decoder must look at the noun. It looks at all words of the
source at every step, with weights that it learns: additive attention (Bahdanau, Cho and Bengio, 2015), which is
printed below as a table.

Where we depart from the article: its network reads and answers with the same parameters, in a number of steps that is
fixed beforehand, and sees of what it has read only its last state; ours has an encoder and a decoder with parameters of
their own, writes until it writes the end symbol, and looks back.

Run it: ``python examples/translation.py``
"""

from __future__ import annotations

import itertools

import numpy as np
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tr
from tinygrad_rnn.data import Batches, pad, train_validation_split
from tinygrad_rnn.language import WordVocabulary

NOUNS = {
    "car": ("la", "voiture"),
    "house": ("la", "maison"),
    "shirt": ("la", "chemise"),
    "door": ("la", "porte"),
    "dog": ("le", "chien"),
    "book": ("le", "livre"),
    "hat": ("le", "chapeau"),
    "garden": ("le", "jardin"),
}
ADJECTIVES = {  # masculine, feminine
    "black": ("noir", "noire"),
    "white": ("blanc", "blanche"),
    "green": ("vert", "verte"),
    "heavy": ("lourd", "lourde"),
    "round": ("rond", "ronde"),
    "open": ("ouvert", "ouverte"),
}
VERBS = {"is": "est", "was": "était"}
BEFORE = {"": ("", ""), "very": ("", "très"), "not": ("pas", ""), "not very": ("pas", "très")}
START, END = "<start>", "<end>"


def sentences():
    """All pairs of English and French."""
    pairs = []
    for noun, first, verb, before, second in itertools.product(NOUNS, ADJECTIVES, VERBS, BEFORE, ADJECTIVES):
        if first == second:
            continue
        article, french_noun = NOUNS[noun]
        gender = 1 if article == "la" else 0
        negation, very = BEFORE[before]
        particle = "n'" if negation else ""  # "ne" before a vowel, with which both verbs begin
        english = ["the", first, noun, verb, before, second]
        french = [article, french_noun, ADJECTIVES[first][gender], particle, VERBS[verb], negation, very]
        pairs.append((" ".join(filter(None, english)), " ".join(filter(None, [*french, ADJECTIVES[second][gender]]))))
    return pairs


ENGLISH = WordVocabulary.from_text([english for english, _ in sentences()])
FRENCH = WordVocabulary([START, END, *WordVocabulary.from_text([french for _, french in sentences()])])


def translator(units=32, embedded=16, seed=0):
    """A GRU that reads in both directions, and one that writes and looks back at what was read."""
    rng = np.random.default_rng(seed)
    encoder = tr.nn.GRU(embedded, units, bidirectional=True, seed=rng)
    attention = tr.nn.AdditiveAttention(query_size=units, memory_size=2 * units, units=units, seed=rng)
    cell = tr.nn.GRUCell(embedded + 2 * units, units, seed=rng)
    decoder = tr.nn.Decoder(
        len(FRENCH),
        cell,
        attention=attention,
        memory_size=2 * units,
        start=FRENCH.index(START),
        end=FRENCH.index(END),
        seed=rng,
    )
    return tr.nn.EncoderDecoder(tr.nn.Embedding(len(ENGLISH), embedded, seed=rng), encoder, decoder, seed=rng)


def train(model, pairs, epochs=8):
    """Learn to write each next French word, being told the ones before it (teacher forcing). Gives the history."""
    sources = [ENGLISH.encode(english) for english, _ in pairs]
    targets = [FRENCH.encode(f"{french} {END}") for _, french in pairs]
    data = Batches(sources, targets, batch_size=64, rng=0, target_sequences=True)  # padded, with their lengths
    optimizer = tr.optim.Adam(model.parameters(), lr=0.01)

    def told(model, batch, state):
        return model(batch.inputs, batch.targets, batch.lengths), None

    return tr.fit(model, data, tr.nn.cross_entropy, optimizer, epochs=epochs, clip_norm=1.0, predict=told)


def translate(model, english):
    """Sentences into French."""
    sources, lengths = pad([ENGLISH.encode(sentence) for sentence in english])
    return [FRENCH.decode(words) for words in model.write(sources, lengths, max_steps=12)]


def attention_of(model, english, french):
    """The weights of attention (T, S): at which English word the decoder looks when it writes each French one."""
    source, target = ENGLISH.encode(english)[:, None], FRENCH.encode(french)[:, None]
    with tr.no_grad():
        _, _, weights = model.decoder(target, *model.encode(source))
    return weights.numpy()[:, :, 0]


def table(weights, english, french):
    """The weights in percent, a row for each French word, those above ten percent marked."""
    rows = [" " * 10 + "".join(f"{word:>8}" for word in english.split())]
    for word, row in zip(french.split(), weights):
        rows.append(f"  {word:8}" + "".join(f"{round(100 * w):>6} {'*' if w > 0.1 else ' '}" for w in row))
    return "\n".join(rows)


def main():
    """Train, translate what it hasn't seen, and show where it looks."""
    pairs = sentences()
    learned, kept_back = train_validation_split(pairs, validation=0.25, rng=0)
    model = translator()
    history = train(model, learned)
    found = translate(model, [english for english, _ in kept_back])
    right = sum(french == wanted for french, (_, wanted) in zip(found, kept_back))
    print(f"{len(pairs)} sentences, {len(learned)} learned from, to a loss of {history.last_loss:.4f}.")
    print(f"Of the {len(kept_back)} others, {right} are translated word for word as they should be:")
    for (english, _), french in list(zip(kept_back, found))[::110]:
        print(f"  {english:36} {french}")

    english = "the black door is not very open"
    (french,) = translate(model, [english])
    print(f"\nWhere it looks, in percent, while it writes {french!r}:")
    print(table(attention_of(model, english, french), english, french))


if __name__ == "__main__":
    with threadpool_limits(limits=1):  # a model this small gains nothing from more, and loses where others work, too
        main()
