"""What holds for every page: its template and its context agree, and its styles are those that were built."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from jinja2 import meta, nodes

import headrace.web.pages as pages_package
from headrace.web.pages import _PARTS, built
from headrace.web.pages.frame import Context, describe
from headrace.web.pages.problems import ProblemPage
from headrace.web.pages.render import TEMPLATES, environment

ENVIRONMENT = environment()
WEB = Path(pages_package.__file__).parents[1]


def every_page() -> list[type[Context]]:
    found: dict[str, type[Context]] = {}
    for part in _PARTS:
        for one in vars(part).values():
            if isinstance(one, type) and issubclass(one, Context) and one is not Context:
                found[one.__name__] = one
    return [*found.values(), ProblemPage]


def templates_of(name: str) -> set[str]:
    """The template and all that it extends, imports or includes."""
    tree = ENVIRONMENT.parse((TEMPLATES / name).read_text(encoding="utf-8"))
    found = {name}
    for one in tree.find_all((nodes.Extends, nodes.Import, nodes.Include)):
        for constant in [one.template, *one.template.find_all(nodes.Const)]:
            if isinstance(constant, nodes.Const) and str(constant.value).endswith(".html"):
                found |= templates_of(str(constant.value))
    return found


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.__name__)
def test_a_template_uses_what_its_context_has_and_nothing_else(page: type[Context]) -> None:
    """A context is the contract between who makes a page and who writes its template."""
    names = {one.name for one in fields(page)}
    for template in templates_of(page.template):
        tree = ENVIRONMENT.parse((TEMPLATES / template).read_text(encoding="utf-8"))
        own = {one.target for one in tree.find_all(nodes.Import)} | {one.name for one in tree.find_all(nodes.Macro)}
        own |= {"ui"}  # the layout has it for pages and their parts
        used = meta.find_undeclared_variables(tree) - set(ENVIRONMENT.globals) - {"caller"}

        assert set() == used - names - own, template


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.__name__)
def test_each_field_of_a_context_says_what_it_is(page: type[Context]) -> None:
    """Who writes a template reads the context, not the route."""
    sentences = describe(page)

    assert {one.name for one in fields(page)} == set(sentences)
    assert all(sentence.endswith(".") for sentence in sentences.values())


def test_every_template_belongs_to_a_page() -> None:
    """A page that was taken away takes its template along."""
    used = set().union(*(templates_of(page.template) for page in every_page()))
    there = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")}

    assert there == used


def test_no_template_has_what_the_content_security_policy_refuses() -> None:
    """An inline style or handler would do nothing in the browser, and nobody would notice in the template."""
    refused = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|\shx-on|javascript:|\|\s*safe")
    found = [
        f"{path.name}: {match[0]}"
        for path in TEMPLATES.rglob("*.html")
        for match in refused.finditer(path.read_text(encoding="utf-8"))
    ]

    assert [] == found


def test_the_built_files_are_those_of_the_sources() -> None:
    """Users need no Node: what they get is committed, and stale files would show yesterday's pages."""
    spec = importlib.util.spec_from_file_location("manifest", WEB / "assets" / "manifest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = json.loads((built.STATIC / "manifest.json").read_text(encoding="utf-8"))

    assert module.sources_digest() == kept["sources"], "run `make assets` and commit what it builds"
    assert module.built_hashes() == kept["files"]


def test_the_first_load_is_small() -> None:
    """Styles, script and font of a page come to less than 300 kB as they travel."""
    import gzip

    needed = ("app.css", "app.js", "theme.js", "fonts/inter-latin.woff2")
    total = sum(len(gzip.compress((built.STATIC / name).read_bytes())) for name in needed)

    assert total < 300_000
    assert total > 20_000
