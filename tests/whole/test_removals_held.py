"""The guard: nothing is removed that a person would regret, and an approval covers what was seen and no more."""

from __future__ import annotations

from .project import SYNC, Project, many


def deletions(project: Project) -> int:
    return sum(one.method == "DELETE" for one in project.vitally.journal)


def delivered_with_delete(project: Project, count: int) -> None:
    project.rows(many(count))
    project.apply(sync={"removed": "delete"})
    assert count == project.run()["delivered"]


def test_an_empty_result_is_held_and_approval_lets_it_go_on(project: Project):
    delivered_with_delete(project, 5)
    project.rows([])

    held = project.headrace("run", SYNC, "--json")

    assert (4, "held", 0) == (held.code, held.json["status"], deletions(project))
    assert "no rows" in held.json["held"]
    approved = project.headrace("approve", held.json["run"], "--json")
    assert (0, "succeeded", 5) == (approved.code, approved.json["status"], approved.json["delivered"])
    assert {} == project.delivered()


def test_sixteen_percent_are_held_and_an_approval_does_not_cover_what_went_missing_since(project: Project):
    delivered_with_delete(project, 100)
    project.rows(many(100)[16:])

    held = project.headrace("run", SYNC, "--json")
    project.rows(many(100)[17:])
    approved_too_late = project.headrace("approve", held.json["run"], "--json")

    assert (4, 0) == (held.code, deletions(project))
    assert (4, "held", 0) == (approved_too_late.code, approved_too_late.json["status"], deletions(project))
    approved = project.headrace("approve", approved_too_late.json["run"], "--json")
    assert (0, 17, 17) == (approved.code, approved.json["removed"], deletions(project))
    assert 83 == len(project.delivered())


def test_fifteen_percent_go_through(project: Project):
    delivered_with_delete(project, 100)
    project.rows(many(100)[15:])

    assert (15, "succeeded") == ((report := project.run())["removed"], report["status"])
    assert 15 == deletions(project)
