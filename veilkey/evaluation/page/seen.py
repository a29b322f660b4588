"""What people and detectors see: measures of the face box and the photo, faces found, and a few faces to look at."""

import base64
import io

from PIL import Image

from veilkey.evaluation.page.cells import DIGITS, NOTHING, cell
from veilkey.evaluation.page.html import Child, Element, Lines, element, paragraph, section, table
from veilkey.evaluation.page.select import CLEAN, Report, methods_and_references, shown_rows, title

BOX = {
    "ssim": "SSIM", "psnr": "PSNR, dB", "flip": "FLIP", "ssimulacra2": "SSIMULACRA2", "ciede_mean": "CIEDE2000, mean",
    "ciede_p99": "CIEDE2000, p99",
}  # fmt: skip
SMALL = {"ssim": "SSIM", "ciede": "CIEDE2000"}
SIDES = (32, 16)
WHOLE = ("ssim", "psnr", "flip", "ciede_mean", "ciede_p99")
# report.json has the pictures without loss; a page of fifty of them would be ten times as large.
JPEG_QUALITY = 90


def measures(report: Report) -> Element | None:
    """All measures of visibility."""
    small = [f"{name}_{side}" for side in SIDES for name in SMALL]
    names = [*BOX, *small, *(f"whole_{name}" for name in WHOLE)]
    bodies: list[Lines] = [
        [
            [
                title(row),
                *(cell(row["visible"].get(name), DIGITS.get(name.removeprefix("whole_"), 3)) for name in names),
            ]
            for row in rows
            if row.get("visible")
        ]
        for rows in methods_and_references(report)
    ]
    if not any(bodies):
        return None
    return section(
        "seen",
        "What a person sees",
        paragraph(
            "Means over photos. SSIM 1, FLIP 0, CIEDE2000 0 and SSIMULACRA2 100 say that nothing changed. People know "
            "faces of 16 pixels: at 32 and 16 pixels noise vanishes, and what remains is how far the features "
            "themselves were redrawn."
        ),
        table(
            "Of the face box, of the face box made small, and of the whole photo. The rows at the end are everyday "
            "changes.",
            ["", *BOX.values(), *(name for _ in SIDES for name in SMALL.values()), *(BOX[name] for name in WHOLE)],
            *bodies,
            above=[
                ("face box", len(BOX)),
                *((f"face box at {side} px", len(SMALL)) for side in SIDES),
                ("whole photo", len(WHOLE)),
            ],
        ),
    )


def found(report: Report) -> Element | None:
    """Whether detectors still find the face."""
    names = report["settings"]["detectors"]
    bodies: list[Lines] = [
        [[title(row), *(cell(row["detected"].get(name)) for name in names)] for row in rows if row.get("detected")]
        for rows in methods_and_references(report)
    ]
    if not names or not any(bodies):
        return None
    return section(
        "found",
        "Is the face still found",
        paragraph("A face that no detector finds is compared with nobody."),
        table(
            "Share of photos in which each detector finds the face.",
            ["", *names],
            *bodies,
        ),
    )


def cost(report: Report) -> Element | None:
    """What a photo costs, and whether there is a way back."""
    rows = [row for row in methods_and_references(report)[0] if row.get("seconds")]
    if not rows:
        return None
    lines: Lines = [
        [
            title(row),
            f"{row['photos']}",
            f"{row['failed']}",
            cell(row["seconds"], 2),
            cell(row["queries"], 0),
            cell(row["restored_pixels"]),
        ]
        for row in rows
    ]
    return section(
        "cost",
        "Cost, and the way back",
        table(
            "Seconds are of this run and machine. Queries: how often recognizers were asked. Restored: share of photos "
            "that came back to the last bit; a dash where there is no way back.",
            ["", "photos", "failed", "seconds a photo", "queries a photo", "restored"],
            lines,
        ),
    )


def faces(report: Report) -> Element | None:
    """Original, protected and difference of a few faces."""
    grid = report["grid"]
    if not grid:
        return None
    pictures = [{each["row"]: each for each in face["rows"]} for face in grid]
    original: list[Child] = ["original"]
    for face in grid:
        original += [_picture(face["original"], f"{face['photo']}, original"), ""]
    bodies: list[Lines] = [[original], []]
    for place, row in shown_rows(report):
        if row["method"] == CLEAN:
            continue
        cells: list[Child] = [title(row)]
        for face, made in zip(grid, pictures, strict=True):
            for kind in ("protected", "difference"):
                label = f"{face['photo']}, {title(row)}, {kind}"
                cells.append(_picture(made[place][kind], label) if place in made else NOTHING)
        bodies[row["reference"]].append(cells)
    return section(
        "faces",
        "What it looks like",
        paragraph(
            "The difference is made stronger; grey is no change. Pictures on this page are compressed a little; "
            "report.json has them as they are."
        ),
        element(
            "div",
            table(
                "Each method, with the first of its budgets, on the same faces; everyday changes at the end.",
                ["", *(kind for _ in grid for kind in ("photo", "difference"))],
                *bodies,
                above=[(face["photo"], 2) for face in grid],
            ),
            class_="faces",
        ),
    )


def _picture(png: str, label: str) -> Element:
    """A PNG in base64, made smaller."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        image.convert("RGB").save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    source = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    return element("img", src=source, alt=label, width=image.width, height=image.height)
