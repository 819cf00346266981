"""Bar charts as plain SVG."""

from html import escape

WIDTH, BAR, GAP, NAMES, TOP, VALUES = 760, 22, 10, 150, 44, 110
STYLE = """<style>
text { font: 13px sans-serif; fill: #1f2328 } .title { font-weight: 600 }
.background { fill: #ffffff } .ours { fill: #1f6feb } .peer { fill: #8c959f } .limit { fill: #d0d7de }
</style>"""


def bars(title, values, limits, form):
    """A bar for each system, the longest first: ours, those of peers, and limits."""
    height = TOP + len(values) * (BAR + GAP) + GAP
    longest = max(values.values(), default=0) or 1
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">', STYLE,
             f'<rect class="background" width="{WIDTH}" height="{height}"/>', f'<text class="title" x="12" y="26">{escape(title)}</text>']
    for number, (name, value) in enumerate(sorted(values.items(), key=lambda item: -item[1])):
        y = TOP + number * (BAR + GAP)
        kind = "ours" if name.startswith("litemq") else "limit" if name in limits else "peer"
        length = max(1.0, (WIDTH - NAMES - VALUES) * max(value, 0) / longest)
        lines += [
            f'<text x="{NAMES - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}"/>',
            f'<text x="{NAMES + length + 8:.1f}" y="{y + 16}">{escape(form(value))}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
