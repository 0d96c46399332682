"""Codes to be photographed, drawn here: a page of Outrider loads nothing to draw them with."""


def drawn(content: str) -> str:
    """The code that holds this, as an SVG element."""
    import segno  # for what is rare alone

    element: str = segno.make(content, error="m", micro=False).svg_inline(border=4, omitsize=True)
    return element
