"""Filters over text."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote, unquote

import re2

from headrace.domain.templates.catalogue import declares
from headrace.domain.templates.values import MOST_CHARACTERS, items_of, number_in, refuse, text_of


def whole(value: Any, fallback: int = 0) -> int:
    """An argument that counts, as a whole number; `fallback` where nothing was given."""
    if value is None:
        return fallback
    number = number_in(value)
    if number is None or not -(2**53) <= number <= 2**53:
        refuse(f"{text_of(value)[:40]!r} is no whole number")
    return int(number)


def spread(text: str, times: int, each: int) -> None:
    """Refuse, before it is made, a text that would grow past the limit: `times` pieces more of `each` characters."""
    if len(text) + times * each > MOST_CHARACTERS:
        refuse(f"the text would have more than {MOST_CHARACTERS:,} characters")


@declares("text", "The text with another one after it.", '{{ "Acme" | append: " GmbH" }}', "Acme GmbH")
def append(value: Any, other: Any) -> str:
    return text_of(value) + text_of(other)


@declares("text", "The text with another one before it.", '{{ "42" | prepend: "acc-" }}', "acc-42")
def prepend(value: Any, other: Any) -> str:
    return text_of(other) + text_of(value)


@declares("text", "First letter in capitals, the others small.", '{{ "aCME corp" | capitalize }}', "Acme corp")
def capitalize(value: Any) -> str:
    text = text_of(value)
    return text[:1].upper() + text[1:].lower()


@declares("text", "All letters small.", '{{ "Ann@Acme.EXAMPLE" | downcase }}', "ann@acme.example")
def downcase(value: Any) -> str:
    return text_of(value).lower()


@declares("text", "All letters in capitals.", '{{ "acme" | upcase }}', "ACME")
def upcase(value: Any) -> str:
    return text_of(value).upper()


@declares("text", "Without white space at both ends, or without those characters.", '{{ "  Acme " | strip }}!', "Acme!")
def strip(value: Any, characters: Any = None) -> str:
    return text_of(value).strip(text_of(characters) or None)


@declares("text", "Without white space, or those characters, at the start.", '{{ "0042" | lstrip: "0" }}', "42")
def lstrip(value: Any, characters: Any = None) -> str:
    return text_of(value).lstrip(text_of(characters) or None)


@declares("text", "Without white space, or those characters, at the end.", '{{ "acme/" | rstrip: "/" }}', "acme")
def rstrip(value: Any, characters: Any = None) -> str:
    return text_of(value).rstrip(text_of(characters) or None)


@declares("text", "Runs of white space as one space, none at the ends.", '{{ " Acme   Corp " | squish }}', "Acme Corp")
def squish(value: Any) -> str:
    return " ".join(text_of(value).split())


@declares("text", "Runs of white space as one space.", '{{ "Acme   Corp" | normalize_whitespace }}', "Acme Corp")
def normalize_whitespace(value: Any) -> str:
    return re.sub(r"\s+", " ", text_of(value))


@declares("text", "Without line breaks.", '{{ "one\ntwo" | strip_newlines }}', "onetwo")
def strip_newlines(value: Any) -> str:
    return text_of(value).replace("\r\n", "").replace("\n", "")


@declares("text", "Every occurrence replaced.", '{{ "a-b-c" | replace: "-", "." }}', "a.b.c")
def replace(value: Any, old: Any, new: Any = "") -> str:
    text, old, new = text_of(value), text_of(old), text_of(new)
    if not old:
        spread(text, len(text), len(new))
        return str(new.join(text))
    spread(text, text.count(old), len(new))
    return text.replace(old, new)


@declares("text", "The first occurrence replaced.", '{{ "a-b-c" | replace_first: "-", "." }}', "a.b-c")
def replace_first(value: Any, old: Any, new: Any = "") -> str:
    return text_of(value).replace(text_of(old), text_of(new), 1)


@declares("text", "The last occurrence replaced.", '{{ "a-b-c" | replace_last: "-", "." }}', "a-b.c")
def replace_last(value: Any, old: Any, new: Any = "") -> str:
    text, old = text_of(value), text_of(old)
    at = text.rfind(old)
    return text if at < 0 else text[:at] + text_of(new) + text[at + len(old) :]


@declares("text", "Without every occurrence.", '{{ "+49 89 1" | remove: " " }}', "+49891")
def remove(value: Any, old: Any) -> str:
    text, old = text_of(value), text_of(old)
    return text.replace(old, "") if old else text


@declares("text", "Without the first occurrence.", '{{ "a-b-c" | remove_first: "-" }}', "ab-c")
def remove_first(value: Any, old: Any) -> str:
    return text_of(value).replace(text_of(old), "", 1)


@declares("text", "Without the last occurrence.", '{{ "a-b-c" | remove_last: "-" }}', "a-bc")
def remove_last(value: Any, old: Any) -> str:
    return str(replace_last(value, old, ""))


@declares(
    "text",
    "Cut to so many characters, the ending included.",
    '{{ "Acme International" | truncate: 10 }}',
    "Acme In...",
)
def truncate(value: Any, length: Any = 50, end: Any = "...") -> str:
    text, most, end = text_of(value), whole(length, 50), text_of(end)
    return text if len(text) <= most else text[: max(most - len(end), 0)] + end


@declares(
    "text",
    "The first words. Text that has just so many words gets the ending too.",
    '{{ "one two three four" | truncatewords: 2 }}',
    "one two...",
)
def truncatewords(value: Any, words: Any = 15, end: Any = "...") -> str:
    most = max(whole(words, 15), 1)
    found = re.split(r"\s+", text_of(value).lstrip())
    return " ".join(found[:most]) + (text_of(end) if len(found) >= most else "")


@declares("text", "How many words.", '{{ "one two three" | number_of_words }}', "3")
def number_of_words(value: Any) -> int:
    return len(text_of(value).split())


@declares(
    "text",
    "Part of a text or a list: from which place (0 is the first, -1 the last) and how many.",
    '{{ "DE-1042" | slice: 0, 2 }}',
    "DE",
)
def slice_(value: Any, start: Any, length: Any = 1) -> Any:
    if value is None:
        return []
    found = items_of(value) if isinstance(value, list | range | tuple) else text_of(value)
    first, count = whole(start), whole(length, 1)
    first += len(found) if first < 0 else 0
    return found[first : first + count] if first >= 0 and count >= 0 else found[:0]


@declares("text", "The parts between a separator, as a list.", '{{ "a,b,c" | split: "," | last }}', "c")
def split(value: Any, separator: Any) -> list[str]:
    text, separator = text_of(value), text_of(separator)
    parts = text.split(separator) if separator else list(text)
    while parts and not parts[-1]:
        parts.pop()
    return parts


@declares("text", "Safe inside HTML.", '{{ "R&D <Ann>" | escape }}', "R&amp;D &lt;Ann&gt;")
def escape(value: Any) -> str:
    return html.escape(text_of(value)).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


@declares("text", "The same as escape.", '{{ "Ann\'s" | xml_escape }}', "Ann&#39;s")
def xml_escape(value: Any) -> str:
    return str(escape(value))


_ESCAPED = re.compile("&(amp|lt|gt|#34|#39);")
_UNESCAPED = {"amp": "&", "lt": "<", "gt": ">", "#34": '"', "#39": "'"}


@declares(
    "text", "Safe inside HTML; what is escaped stays so.", '{{ "R&amp;D & co" | escape_once }}', "R&amp;D &amp; co"
)
def escape_once(value: Any) -> str:
    return str(escape(_ESCAPED.sub(lambda found: _UNESCAPED[found[1]], text_of(value))))


@declares("text", "A `<br />` before every line break.", '{{ "one\ntwo" | newline_to_br }}', "one<br />\ntwo")
def newline_to_br(value: Any) -> str:
    text = text_of(value)
    spread(text, text.count("\n"), 6)
    return re.sub(r"\r?\n", "<br />\n", text)


_TAGS = re2.compile(r"(?s)<script.*?</script>|<style.*?</style>|<!--.*?-->|<.*?>")


@declares("text", "Without HTML tags, scripts, styles and comments.", '{{ "<b>Acme</b>" | strip_html }}', "Acme")
def strip_html(value: Any) -> str:
    return str(_TAGS.sub("", text_of(value)))


@declares("text", "Safe inside a URL's query; a space is `+`.", '{{ "Ann & Bo" | url_encode }}', "Ann+%26+Bo")
def url_encode(value: Any) -> str:
    return quote(text_of(value), safe="-_.!~*'()").replace("%20", "+")


@declares("text", "The text behind a URL's query.", '{{ "Ann+%26+Bo" | url_decode }}', "Ann & Bo")
def url_decode(value: Any) -> str:
    return unquote(text_of(value).replace("+", " "), errors="strict")


@declares("text", "As url_encode, with `!'()*` encoded too.", '{{ "(a b)" | cgi_escape }}', "%28a+b%29")
def cgi_escape(value: Any) -> str:
    return quote(text_of(value), safe="-_.~").replace("%20", "+")


@declares(
    "text",
    "A whole URL made safe.",
    '{{ "https://acme.example/a b?c=ü" | uri_escape }}',
    "https://acme.example/a%20b?c=%C3%BC",
)
def uri_escape(value: Any) -> str:
    return quote(text_of(value), safe=";,/?:@&=+$-_.!~*'()#[]")


_SLUGS = {
    "default": re2.compile(r"[^\p{M}\p{L}\p{Nd}]+"),
    "ascii": re2.compile(r"[^A-Za-z0-9]+"),
    "pretty": re2.compile(r"[^\p{M}\p{L}\p{Nd}._~!$&'()+,;=@]+"),
    "raw": re2.compile(r"\s+"),
}


@declares(
    "text",
    "Small letters and digits with hyphens between. Modes: default, ascii, pretty, raw.",
    '{{ "Acme & Söhne GmbH" | slugify }}',
    "acme-söhne-gmbh",
)
def slugify(value: Any, mode: Any = "default") -> str:
    pattern = _SLUGS.get(text_of(mode) or "default")
    if pattern is None:
        refuse(f"slugify knows the modes {', '.join(_SLUGS)}")
    slug = str(pattern.sub("-", text_of(value)))
    return slug.removeprefix("-").removesuffix("-").lower()
