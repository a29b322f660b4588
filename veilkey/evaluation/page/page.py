"""The page from its parts."""

from veilkey.evaluation.page import adversaries, charts, groups, headline, matches, paper, seen, setting
from veilkey.evaluation.page.html import Element, element, write
from veilkey.evaluation.page.select import Report
from veilkey.evaluation.page.style import CSS

# Nothing may be loaded and nothing run, whatever a name in the report would say.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PARTS = (
    headline.how_to_read,
    headline.headline,
    matches.leave_one_out,
    seen.faces,
    charts.strengths,
    charts.curves,
    matches.transforms,
    matches.directions,
    adversaries.trackers,
    groups.groups,
    adversaries.attacks_on_the_secret,
    seen.measures,
    seen.found,
    charts.embedding_plane,
    paper.merit,
    matches.all_figures,
    seen.cost,
    setting.thresholds,
    setting.left_out,
    setting.made_with,
)


def render(report: Report) -> str:
    """report.html of a report (the dictionary that `veilkey.evaluation.run` describes, also as read from JSON).

    Self-contained: style and pictures are in the text, nothing is loaded, no script runs. Parts that the report has
    nothing for are left away. Under the key `attacks` it may have a list of {attack, title, method, judge, before:
    figure, after: figure, note}.
    """
    parts = [made for part in PARTS if (made := part(report)) is not None]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", **{"http-equiv": "Content-Security-Policy"}, content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"veilkey: evaluation of {report['settings']['faces']}"),
        element("style", CSS),
    )
    main = element("main", headline.opening(report), _contents(parts), parts)
    return write(element("html", head, element("body", main), lang="en"))


def _contents(parts: list[Element]) -> Element:
    links = [element("li", element("a", part[0].text, href=f"#{part.get('id')}")) for part in parts]
    return element("nav", element("ul", links), aria_label="Contents")
