"""The sentiment of a text by counting words of a short list: good words less bad ones.

Our own list of some 440 common English words, by no means a measure of what a text feels like: irony, topic
("the best cancer treatment") and every other language escape it. A word up to three places after a negation
counts for the other side at half its weight. Where a study hangs on sentiment, use an instrument made for it.
"""

from __future__ import annotations

from collections.abc import Sequence

DAMPING = 10
"""Words added to every text's length, so that one good word in three is not an extreme."""
REACH = 3
"""Words after a negation that it turns."""
TURNED = -0.5

_GOOD = """
able absolutely admire adore advantage agree amazing appreciate appreciated attractive awesome beautiful
beautifully beloved beneficial benefit best better bless bonus brave bright brilliant calm capable care
caring celebrate charm charming cheer cheerful clean clear clearly clever comfort comfortable confident
congratulations correct cosy creative cute dear delicious delight delighted delightful dream eager easily
easy elegant encourage encouraging enjoy enjoyable enjoyed enthusiastic excellent excited exciting
fabulous fair fantastic fascinating favourite favorite fine fortunate free fresh friend friendly fun funny
generous gentle gift glad golden good gorgeous grace grateful great greatly happier happiest happily
happiness happy harmless healthy heaven helpful hero honest honour honor hope hopeful impressive improve
improved improvement incredible inspire inspiring interesting joy kind kindly kindness laugh like liked
lively love loved lovely loving lucky magnificent marvellous marvelous merry nice outstanding paradise
peace peaceful perfect perfectly pleasant please pleased pleasure plenty polite popular positive praise
precious pretty pride promising proud reassuring recommend recommended relaxed reliable relief remarkable
respect reward rewarding rich right safe safely satisfied secure simple sincere smart smile smooth special
splendid strong succeed success successful sunny super superb support supportive sure surprise sweet
talented terrific thank thankful thanks thrilled thrive top treasure true trust trusted useful valuable
value victory warm warmly welcome well win winner wise wonderful wonderfully worth worthwhile worthy
"""
_BAD = """
abuse abysmal ache afraid aggressive alarming alone angry annoy annoyed annoying anxious appalling ashamed
atrocious awful awfully bad badly barely betray bitter blame bleak bored boring broken brutal burden cheat
clumsy collapse complain complaint complicated confused confusing contempt corrupt crash crazy creepy
crime cruel cry damage damaged danger dangerous dark dead death deceive defeat defective depressed
depressing despair desperate destroy destroyed difficult dirty disadvantage disagree disappoint
disappointed disappointing disappointment disaster disgust disgusting dishonest dislike dismal doubt
dreadful dull dumb enemy error evil excuse expensive fail failed failing fails failure false fault faulty
fear fool foolish fraud frightening frustrated frustrating frustration furious gloomy greedy grief guilty
harm harmful harsh hate hated hazard helpless hideous hopeless horrible horrified hostile hurt hurts idiot
ignorant ignore ill inadequate incompetent inferior insult irritating jealous kill lack lame lazy liar lie
lies lonely lose loser loss lost lousy mad mean mess miserable misery miss mistake misunderstand nasty
negative nervous nightmare offend offensive pain painful panic pathetic poison poor poorly pressure
problem problems punish regret reject rejected ridiculous risk risky rotten rude ruin ruined sad sadly
sadness scared scary severe shame shock shocking sick sore sorrow stole stress stressful stuck stupid
suffer suffering suspicious terrible terribly terrified threat tired tragedy tragic trouble ugly unable
uncomfortable unfair unfortunate unfortunately unhappy unhealthy unpleasant unsafe unwanted upset useless
vicious victim violent waste weak weakness weird worried worry worse worst worthless wrong
"""
_NEGATIONS = "not no never nothing nobody neither nor without hardly cannot"
GOOD, BAD, NEGATIONS = (frozenset(words.split()) for words in (_GOOD, _BAD, _NEGATIONS))


def sentiment(words: Sequence[str]) -> float:
    """100 (good - bad) / (words + 10) for words in lower case: 0 is neutral, beyond ±20 is rare."""
    total, since_negation = 0.0, REACH + 1
    for word in words:
        since_negation += 1
        if word in NEGATIONS or word.endswith(("n't", "n’t")):
            since_negation = 0
        elif value := (word in GOOD) - (word in BAD):
            total += value * (TURNED if since_negation <= REACH else 1.0)
    return 100.0 * total / (len(words) + DAMPING)
