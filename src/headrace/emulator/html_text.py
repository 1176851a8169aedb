"""Note bodies and task descriptions as Vitally keeps them: a few tags, everything else stripped without an error.

vitally.md 4, DOC2: tags `a img p div br ul ol nl li b u i strong em code`; attributes of `a` and `img` only.
"""

from html import escape
from html.parser import HTMLParser

ALLOWED_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "a": ("href", "name", "target"),
    "img": ("src", "alt", "width", "height"),
} | dict.fromkeys(("p", "div", "br", "ul", "ol", "nl", "li", "b", "u", "i", "strong", "em", "code"), ())
_SILENT = {"script", "style"}


def strip_html(text: str) -> str:
    """The text with unknown tags and attributes gone; what stood between them stays, scripts and styles apart."""
    if "<" not in text:
        return text
    stripper = _Stripper()
    stripper.feed(text)
    stripper.close()
    return "".join(stripper.kept)


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.kept: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in _SILENT
        if tag in ALLOWED_ATTRIBUTES:
            names = ALLOWED_ATTRIBUTES[tag]
            kept = "".join(f' {name}="{escape(value or "")}"' for name, value in attrs if name in names)
            self.kept.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in _SILENT and self._silent > 0
        if tag in ALLOWED_ATTRIBUTES:
            self.kept.append(f"</{tag}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ALLOWED_ATTRIBUTES:
            self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.kept.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")
