"""Pages of ours as a browser would make them out: they have all their sections, and nothing in them runs or loads."""

import base64
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

SECTIONS = [
    "verdict",
    "targets",
    "parity",
    "data",
    "uncertainty",
    "background",
    "requests",
    "decisions",
    "configuration",
]
"""Those of a report."""


class Page(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.ids, self.words, self.pictures = [], [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        self.ids += [value for name, value in attributes if name == "id"]
        self.pictures += [value for name, value in attributes if (tag, name) == ("img", "src")]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def svg(address):
    kind, content = address.split(",")
    assert kind == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(content))


def check(html, sections=SECTIONS):
    """The page has all its sections, and nothing in it runs or loads."""
    page = Page(html)
    assert page.ids == sections
    assert {"script", "iframe", "object", "embed", "link", "form", "base"}.isdisjoint(page.tags)
    policy = next(value for _, name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for tag, name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "srcset", "style", "action", "background")
        assert name != "src" or (tag == "img" and value.startswith("data:image/"))
    assert "url(" not in html
    assert "@import" not in html
    for address in page.pictures:
        for element in svg(address).iter():
            assert not element.tag.endswith(("script", "foreignObject"))
            for name, value in element.attrib.items():
                assert not name.endswith("href") or value.startswith(("#", "data:image/png;base64,"))
    return page
